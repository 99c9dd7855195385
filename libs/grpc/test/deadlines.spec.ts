import { ThalamusError } from '@thalamus/errors';
import { afterEach, describe, expect, it } from 'vitest';
import { localContext, type CallContext } from '../src/index.js';
import { closeAll, collect, failure, gate, serve } from './support/loopback.js';

afterEach(closeAll);

describe('deadlines', () => {
  it('reach the second hop as what is left of the first, though that hop asks for more', async () => {
    const seen: { hop: string; deadlineAtMs: number }[] = [];
    const note = (hop: string, context: CallContext) => {
      seen.push({ hop, deadlineAtMs: context.deadlineAtMs ?? Infinity });
    };
    const far = await serve({
      stat: (_request, context) => {
        note('far', context);
        return Promise.resolve({});
      },
    });
    const near = await serve({
      stat: async (_request, context) => {
        note('near', context);
        return far.artifacts.stat({}, { parent: context, deadlineMs: 600_000 });
      },
    });
    const before = Date.now();
    await near.artifacts.stat({}, { deadlineMs: 30_000 });
    const after = Date.now();
    expect(seen.map(({ hop }) => hop)).toEqual(['near', 'far']);
    // Remaining time loses what the way took and never gains: each hop's deadline lies between the caller's bounds.
    // grpc-js rounds the remaining time up to whole milliseconds; a hop may so add one or two.
    for (const { deadlineAtMs } of seen) {
      expect(deadlineAtMs).toBeGreaterThanOrEqual(before + 30_000);
      expect(deadlineAtMs).toBeLessThanOrEqual(after + 30_000 + 10);
    }
  });

  it('take the shorter of a call’s own limit and the time left', async () => {
    let seen = Infinity;
    const { artifacts } = await serve({
      stat: (_request, context) => {
        seen = context.remainingMs();
        return Promise.resolve({});
      },
    });
    await artifacts.stat({}, { parent: localContext({ deadlineMs: 600_000 }), deadlineMs: 20_000 });
    expect(seen).toBeLessThanOrEqual(20_001);
    await artifacts.stat({}, { parent: localContext({ deadlineMs: 10_000 }), deadlineMs: 600_000 });
    expect(seen).toBeLessThanOrEqual(10_001);
    // The client's own default is 15 s; none asked for, none left out.
    await artifacts.stat({});
    expect(seen).toBeLessThanOrEqual(15_001);
    await artifacts.stat({}, { deadlineMs: 'none' });
    expect(seen).toBe(Infinity);
  });

  it('refuse a call for which no time is left, without making it', async () => {
    let calls = 0;
    const { artifacts } = await serve({
      stat: () => {
        calls += 1;
        return Promise.resolve({});
      },
    });
    const error = await failure(artifacts.stat({}, { parent: localContext({ deadlineMs: 0 }) }));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(calls).toBe(0);
  });

  it('abort the handler and answer DEADLINE_EXCEEDED when they pass', async () => {
    const reason = gate();
    let code: unknown;
    const { artifacts } = await serve({
      stat: async (_request, { signal }) => {
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve, { once: true });
        });
        code = (signal.reason as ThalamusError).code;
        reason.pass();
        throw signal.reason as ThalamusError;
      },
    });
    expect(await failure(artifacts.stat({}, { deadlineMs: 150 }))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await reason.passed;
    expect(code).toBe('DEADLINE_EXCEEDED');
  });
});

describe('cancellation', () => {
  it('of a caller reaches the handler and the hop behind it', async () => {
    const [farBegun, farEnded, nearEnded] = [gate(), gate(), gate()];
    const waitFor = (signal: AbortSignal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
    const far = await serve({
      stat: async (_request, { signal }) => {
        signal.addEventListener('abort', farEnded.pass);
        farBegun.pass();
        await waitFor(signal);
        return {};
      },
    });
    const near = await serve({
      stat: async (_request, context) => {
        context.signal.addEventListener('abort', nearEnded.pass);
        return far.artifacts.stat({}, { parent: context });
      },
    });
    const caller = new AbortController();
    const answer = failure(near.artifacts.stat({}, { signal: caller.signal }));
    await farBegun.passed;
    caller.abort();
    expect(await answer).toMatchObject({ code: 'CANCELLED' });
    await nearEnded.passed;
    await farEnded.passed;
  });

  it('gives the reason of the signal back', async () => {
    const { artifacts } = await serve({ stat: () => new Promise(() => undefined) });
    const caller = new AbortController();
    const answer = failure(artifacts.stat({}, { signal: caller.signal }));
    caller.abort(new ThalamusError('DEADLINE_EXCEEDED', 'The request took too long.'));
    expect(await answer).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: 'The request took too long.',
    });
    const late = failure(artifacts.stat({}, { signal: caller.signal }));
    expect(await late).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('happens when a reader leaves its loop, and frees a generator that waits', async () => {
    const [ended, aborted] = [gate(), gate()];
    const { artifacts } = await serve({
      get: async function* (_request, { signal }) {
        try {
          yield { totalBytes: 1n };
          await new Promise<void>((resolve) => {
            signal.addEventListener('abort', () => {
              aborted.pass();
              resolve();
            });
          });
          yield { totalBytes: 2n };
        } finally {
          ended.pass();
        }
      },
    });
    for await (const { totalBytes } of artifacts.get({})) {
      expect(totalBytes).toBe(1n);
      break;
    }
    await aborted.passed;
    await ended.passed;
  });

  it('lets a server end though a handler does not listen', async () => {
    const { artifacts, server } = await serve({
      get: async function* () {
        yield { totalBytes: 1n };
        await new Promise(() => undefined);
      },
    });
    for await (const { totalBytes } of artifacts.get({})) {
      expect(totalBytes).toBe(1n);
      break;
    }
    // The generator never ends; its call has, so a drain without a bound resolves.
    await server.drain(2_000_000);
  });

  it('passes request id and tenant of the call being served', async () => {
    const far = await serve({
      stat: (_request, { requestId, tenant, metadata }) =>
        Promise.resolve({
          artifacts: [{ digest: `${requestId} ${tenant} ${metadata.get('x-extra') ?? ''}` }],
        }),
    });
    const near = await serve({
      stat: async (_request, context) =>
        far.artifacts.stat({}, { parent: context, metadata: { 'x-extra': 'yes' } }),
    });
    const answer = await near.artifacts.stat(
      {},
      { metadata: { 'x-request-id': 'r1', 'x-thalamus-tenant': 't1' } },
    );
    expect(answer.artifacts[0]?.digest).toBe('r1 t1 yes');
    expect(await collect(far.artifacts.get({})).catch(() => [])).toEqual([]);
  });
});
