import { ThalamusError } from '@thalamus/errors';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, collect, failure, gate, serve } from './support/loopback.js';

afterEach(closeAll);

const chunk = (size: number) => ({ chunk: new Uint8Array(size) });

describe('the four kinds of call', () => {
  it('carries one request and one answer, with trailing metadata', async () => {
    const { artifacts } = await serve({
      stat: async ({ digests }, context) => {
        context.setTrailer('x-thalamus-timings', 'read;dur=1');
        return Promise.resolve({ artifacts: digests.map((digest) => ({ digest, sizeBytes: 2n ** 60n })) });
      },
    });
    let trailer: ReadonlyMap<string, string> = new Map();
    const answer = await artifacts.stat(
      { digests: ['a', 'b'] },
      { onTrailer: (entries) => (trailer = entries) },
    );
    expect(answer.artifacts.map(({ digest }) => digest)).toEqual(['a', 'b']);
    expect(answer.artifacts[0]?.sizeBytes).toBe(2n ** 60n);
    expect(trailer.get('x-thalamus-timings')).toBe('read;dur=1');
  });

  it('carries many requests and one answer', async () => {
    const { artifacts } = await serve({
      put: async (parts) => {
        let bytes = 0;
        for await (const { part } of parts) if (part.case === 'chunk') bytes += part.value.length;
        return { sizeBytes: BigInt(bytes) };
      },
    });
    async function* parts() {
      for (let index = 0; index < 50; index++)
        yield Promise.resolve({ part: { case: 'chunk' as const, value: new Uint8Array(1000) } });
    }
    expect((await artifacts.put(parts())).sizeBytes).toBe(50_000n);
  });

  it('carries one request and many answers, in order', async () => {
    const { artifacts } = await serve({
      get: async function* () {
        for (let index = 1n; index <= 100n; index++) yield Promise.resolve({ totalBytes: index });
      },
    });
    const answers = await collect(artifacts.get({ digest: 'x' }));
    expect(answers.map(({ totalBytes }) => totalBytes)).toEqual(
      Array.from({ length: 100 }, (_, index) => BigInt(index + 1)),
    );
  });

  it('carries streams both ways, each answer as soon as it is made', async () => {
    const { inference } = await serve(
      {},
      {
        modelStreamInfer: async function* (requests) {
          for await (const { id } of requests) yield { inferResponse: { id } };
        },
      },
    );
    const answered = [gate(), gate()];
    async function* requests() {
      yield { id: 'first' };
      // The second is sent only when the first has been answered: neither side waits for the end of a stream.
      await answered[0]!.passed;
      yield { id: 'second' };
    }
    const seen: string[] = [];
    for await (const { inferResponse } of inference.modelStreamInfer(requests())) {
      answered[seen.length]!.pass();
      seen.push(inferResponse?.id ?? '');
    }
    expect(seen).toEqual(['first', 'second']);
  });

  it('ends a stream with the error of its handler after the values before it', async () => {
    const { artifacts } = await serve({
      get: async function* () {
        yield Promise.resolve({ totalBytes: 1n });
        throw new ThalamusError('ARTIFACT_CORRUPT', 'The second chunk is damaged.');
      },
    });
    const seen: bigint[] = [];
    const error = await failure(
      (async () => {
        for await (const { totalBytes } of artifacts.get({})) seen.push(totalBytes);
      })(),
    );
    expect(seen).toEqual([1n]);
    expect(error).toMatchObject({ code: 'ARTIFACT_CORRUPT', message: 'The second chunk is damaged.' });
  });

  it('answers a client stream whose handler throws before it has read all', async () => {
    const { artifacts } = await serve({
      put: async (parts) => {
        for await (const part of parts) {
          if (part.part.case === 'chunk') throw new ThalamusError('ARTIFACT_STORE_FULL', 'No space is left.');
        }
        return {};
      },
    });
    let stopped = false;
    async function* endless() {
      try {
        for (;;) yield Promise.resolve({ part: { case: 'chunk' as const, value: new Uint8Array(1000) } });
      } finally {
        stopped = true;
      }
    }
    expect(await failure(artifacts.put(endless()))).toMatchObject({ code: 'ARTIFACT_STORE_FULL' });
    await expect.poll(() => stopped, { timeout: 5_000 }).toBe(true);
  });

  it('passes the error of a request source to the caller and cancels the call', async () => {
    const [begun, ended] = [gate(), gate()];
    const { artifacts } = await serve({
      put: async (parts, { signal }) => {
        begun.pass();
        signal.addEventListener('abort', ended.pass);
        await collect(parts);
        return {};
      },
    });
    async function* broken() {
      yield Promise.resolve({ part: { case: 'chunk' as const, value: new Uint8Array(1) } });
      await begun.passed;
      throw new ThalamusError('BUNDLE_INVALID', 'The file cannot be read.');
    }
    expect(await failure(artifacts.put(broken()))).toMatchObject({ code: 'BUNDLE_INVALID' });
    await ended.passed;
  });
});

// Megabytes are moved: seconds on a busy machine.
describe('flow control', { timeout: 120_000 }, () => {
  it('asks a generator for no more than fits between it and a paused client', async () => {
    let produced = 0;
    const size = 64 * 1024;
    const { artifacts } = await serve({
      get: async function* () {
        for (; produced < 5_000; produced++) yield Promise.resolve(chunk(size));
      },
    });
    const reader = artifacts.get({}, { deadlineMs: 110_000 })[Symbol.asyncIterator]();
    await reader.next();
    // The producer goes on until every buffer on the way is full, then stands still; 5,000 chunks would be 320 MB.
    let before = -1;
    await expect
      .poll(
        () => {
          const still = produced === before;
          before = produced;
          return still;
        },
        { interval: 200, timeout: 45_000 },
      )
      .toBe(true);
    expect(produced).toBeLessThan(200);
    for (let index = 0; index < 300; index++) await reader.next();
    expect(produced).toBeGreaterThan(300);
    await reader.return?.();
  });

  it('takes requests from a source only as fast as the server reads them', async () => {
    const go = gate();
    let made = 0;
    const { artifacts } = await serve({
      put: async (parts) => {
        await go.passed;
        return { sizeBytes: BigInt((await collect(parts)).length) };
      },
    });
    async function* source() {
      for (; made < 500; made++)
        yield Promise.resolve({ part: { case: 'chunk' as const, value: new Uint8Array(64 * 1024) } });
    }
    const answer = artifacts.put(source(), { deadlineMs: 110_000 });
    let before = -1;
    await expect
      .poll(
        () => {
          const still = made > 0 && made === before;
          before = made;
          return still;
        },
        { interval: 200, timeout: 45_000 },
      )
      .toBe(true);
    expect(made).toBeLessThan(200);
    go.pass();
    expect((await answer).sizeBytes).toBe(500n);
  });
});
