import { ThalamusError } from '@thalamus/errors';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  wasAsked,
  type ChatUpstream,
  type UpstreamAnswer,
  type UpstreamRequest,
  type UpstreamTarget,
} from '../../application/chat/chat-upstream.port.js';
import { BreakingUpstream, FAILURES_TO_OPEN } from './breaking-upstream.js';

const ANSWER: UpstreamAnswer = { text: '{}', body: {}, usage: { inputTokens: 1, outputTokens: 1 } };
const request: UpstreamRequest = {
  operation: 'completions',
  body: {},
  signal: new AbortController().signal,
  deadlineAtMs: Number.MAX_SAFE_INTEGER,
};
const target = (model = 'a'): UpstreamTarget => ({
  expert: model,
  version: '1',
  baseUrl: 'http://upstream/v1',
  model,
  keyReference: '',
  price: { input: 0, output: 0 },
});
const failing =
  (code: 'UPSTREAM_UNAVAILABLE' | 'UPSTREAM_ERROR' | 'REQUEST_INVALID', status = '500') =>
  () =>
    Promise.reject(new ThalamusError(code, 'It failed.', { metadata: { status } }));

/** An upstream that does as it is told and counts how often it is asked. */
class Told implements ChatUpstream {
  asked = 0;
  behave: () => Promise<UpstreamAnswer> = () => Promise.resolve(ANSWER);

  complete(): Promise<UpstreamAnswer> {
    this.asked += 1;
    return this.behave();
  }

  stream(): Promise<never> {
    return Promise.reject(new ThalamusError('METHOD_UNSUPPORTED', 'Not here.'));
  }
}

let inner: Told;
beforeEach(() => {
  inner = new Told();
});
const ask = (upstream: BreakingUpstream, to = target()) =>
  upstream.complete(to, request).then(
    () => undefined,
    (fault: unknown) => fault as ThalamusError,
  );
const askOften = async (upstream: BreakingUpstream, times = FAILURES_TO_OPEN) => {
  for (let turn = 0; turn < times; turn++) await ask(upstream);
};

describe('BreakingUpstream', () => {
  it('leaves a model alone after failures in a row, and no other one of the same address', async () => {
    const upstream = new BreakingUpstream(inner, 60_000);
    inner.behave = failing('UPSTREAM_UNAVAILABLE');
    await askOften(upstream);
    const fault = await ask(upstream);
    expect(fault).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', retryAfterMs: 60_000 });
    expect(fault && wasAsked(fault)).toBe(false);
    expect(inner.asked).toBe(FAILURES_TO_OPEN);
    await ask(upstream, target('b'));
    expect(inner.asked).toBe(FAILURES_TO_OPEN + 1);
  });

  it.each([
    ['an answer in between', [failing('UPSTREAM_ERROR'), () => Promise.resolve(ANSWER)]],
    ['requests that it does not know', [failing('UPSTREAM_ERROR', '404')]],
    ['requests at fault', [failing('REQUEST_INVALID')]],
  ])('%s: it is asked again and again', async (_what, behaviours) => {
    const upstream = new BreakingUpstream(inner, 60_000);
    for (let turn = 0; turn < 4 * FAILURES_TO_OPEN; turn++) {
      inner.behave = behaviours[turn % behaviours.length] ?? inner.behave;
      await ask(upstream);
    }
    expect(inner.asked).toBe(4 * FAILURES_TO_OPEN);
  });

  it('after the pause one request looks whether it is back, and nobody waits for that', async () => {
    const upstream = new BreakingUpstream(inner, 0);
    inner.behave = failing('UPSTREAM_UNAVAILABLE');
    await askOften(upstream);
    let answer: (value: UpstreamAnswer) => void = () => undefined;
    inner.behave = () => new Promise((resolve) => (answer = resolve));
    const looks = ask(upstream);
    expect((await ask(upstream))?.message).toContain('left alone');
    expect(inner.asked).toBe(FAILURES_TO_OPEN + 1);
    answer(ANSWER);
    expect(await looks).toBeUndefined();
    inner.behave = () => Promise.resolve(ANSWER);
    expect(await ask(upstream)).toBeUndefined();
  });
});
