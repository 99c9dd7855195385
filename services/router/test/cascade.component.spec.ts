import { TextEncoder, type TokenRow } from '@thalamus/inference';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { RouterUnderTest, TASK } from './support/router-under-test.js';

// Loading the encoder takes a while on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

let router: RouterUnderTest;
/** What runs the graph. */
const graph = vi.spyOn(TextEncoder.prototype, 'encodeTokens');
beforeAll(async () => {
  router = await RouterUnderTest.prepare();
  await router.expert('a');
  await router.expert('b');
  await router.activate('cascade', await router.storeCascade('cascade'));
  await router.start();
});
beforeEach(() => {
  graph.mockClear();
});
afterAll(async () => {
  graph.mockRestore();
  await router.stop();
});

const ask = (prompt: string, options = {}) => router.client.route({ prompt, task: TASK }, options);
const encoded = () => graph.mock.calls.reduce((sum, [rows]) => sum + rows.length, 0);
/** As many digits as other characters: the first stage cannot tell. */
const open = (at: number) => `${'x'.repeat(9)}${100_000_000 + at}`;

describe('a router model with two stages', () => {
  it('decides by the first alone what its intervals leave nobody else for, and says so', async () => {
    const [digits, letters] = [await ask('1234567'), await ask('Where is my card')];
    expect(digits.decision?.ranked.map(({ expert }) => expert)).toEqual(['a', 'b']);
    expect(letters.decision?.ranked.map(({ expert }) => expert)).toEqual(['b', 'a']);
    for (const { decision } of [digits, letters]) {
      expect(decision?.decidingStage).toMatchObject({
        stage: 'first',
        reason: 'The first stage decided: its intervals leave nobody who may be better by more than 0.010.',
      });
      expect(decision?.regionId).toBe(0);
      const { predictedLoss = NaN, lossLow = NaN } = decision?.ranked[0] ?? {};
      expect(lossLow).toBeCloseTo(predictedLoss - 0.25);
    }
    expect(graph).not.toHaveBeenCalled();
  });

  it('runs the graph for what the first leaves open, once, with intervals of its own', async () => {
    const answer = await ask(open(0));
    expect(encoded()).toBe(1);
    expect(answer.decision?.ranked).toMatchObject([
      { expert: 'b', predictedLoss: 0.25, lossLow: -0.25, lossHigh: 1.25 },
      { expert: 'a', predictedLoss: 0.75 },
    ]);
    expect(answer.decision?.regionId).toBe(1);
    expect(answer.decision?.decidingStage?.stage).toBe('second');
    expect(answer.decision?.decidingStage?.reason).toMatch(
      /^The second stage decided: by the first, [ab] may be better than [ab] by more than 0.010 and is 0.\d{3} behind, nearer than 0.100.$/,
    );
    const again = await ask(open(0));
    expect(again.decision).toEqual(answer.decision);
    expect(encoded()).toBe(1);
  });

  it('explains which stage decided', async () => {
    const stages: (string | undefined)[] = [];
    for (const prompt of ['7654321', open(1)])
      for await (const { part } of router.client.explain({ request: { prompt, task: TASK } }))
        if (part.case === 'summary') stages.push(part.value.decision?.decidingStage?.stage);
    expect(stages).toEqual(['first', 'second']);
  });

  it('batches what is open, and answers the rest without waiting for the graph', async () => {
    const prompts = Array.from({ length: 24 }, (_, at) => (at % 3 === 0 ? open(100 + at) : `${10_000 + at}`));
    const answers = await Promise.all(prompts.map((prompt) => ask(prompt)));
    expect(answers.map(({ decision }) => decision?.ranked[0]?.expert)).toEqual(
      prompts.map((_, at) => (at % 3 === 0 ? 'b' : 'a')),
    );
    expect(encoded()).toBe(8);
    expect(graph.mock.calls.length).toBeLessThan(8);
  });

  it('keeps deadlines while the graph is busy, during which the first stage goes on', async () => {
    let end: (() => void) | undefined;
    const busy = new Promise<void>((resolve) => (end = resolve));
    graph.mockImplementationOnce(async function (this: TextEncoder, rows: readonly TokenRow[]) {
      await busy;
      return this.encodeTokens(rows);
    });
    const held = ask(open(200));
    await expect.poll(() => graph.mock.calls.length).toBe(1);
    await expect(ask(open(201), { deadlineMs: 200 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect((await ask('42424242')).decision?.ranked[0]?.expert).toBe('a');
    end?.();
    expect((await held).decision?.ranked[0]?.expert).toBe('b');
  });

  it.each([
    ['whose encoder nobody stored', { encoder: `sha256:${'0'.repeat(64)}` as const }, /sha256:0{64}/],
    [
      'whose encoder gives vectors of another width',
      { width: 128 },
      /"sentence" of width 128 has the width 384/,
    ],
  ])('%s is not served, and the service says why', async (_name, changes, reason) => {
    const bad = await RouterUnderTest.prepare();
    try {
      await bad.expert('a');
      await bad.activate('bad', await bad.storeCascade('bad', changes));
      await bad.start();
      expect(bad.readiness().ready).toBe(false);
      expect(bad.readiness().reasons.join()).toMatch(reason);
    } finally {
      await bad.stop();
    }
  });
});
