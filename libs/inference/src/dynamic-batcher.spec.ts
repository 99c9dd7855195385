import { ThalamusError } from '@thalamus/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DynamicBatcher, type BatchOutcome, type BatcherOptions } from './dynamic-batcher.js';

/** A model whose batches end when the test says so. */
class Model {
  readonly batches: string[][] = [];
  private readonly ends: ((outcome: BatchOutcome<string>[] | Error) => void)[] = [];

  readonly run = (items: readonly string[]): Promise<BatchOutcome<string>[]> => {
    this.batches.push([...items]);
    return new Promise((resolve, reject) => {
      this.ends.push((outcome) => {
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      });
    });
  };

  /** Ends the batch that runs: by default every item is answered in capitals. */
  async end(outcome?: BatchOutcome<string>[] | Error): Promise<void> {
    const batch = this.batches.at(-1)!;
    this.ends.shift()!(outcome ?? batch.map((item) => item.toUpperCase()));
    await vi.advanceTimersByTimeAsync(0);
  }
}

const batcherOf = (options: Partial<BatcherOptions<string, string>> = {}) => {
  const model = new Model();
  const batcher = new DynamicBatcher<string, string>({
    maxBatch: 4,
    maxDelayMs: 10,
    maxQueue: 8,
    run: model.run,
    ...options,
  });
  return { model, batcher };
};

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    if (ThalamusError.is(error)) return error.code;
    throw error;
  }
  throw new Error('nothing was refused');
};

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance', 'Date'],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('when a batch begins', () => {
  it('waits for others no longer than the delay', async () => {
    const { model, batcher } = batcherOf();
    const first = batcher.submit('a');
    await vi.advanceTimersByTimeAsync(9);
    const second = batcher.submit('b');
    expect(model.batches).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(model.batches).toEqual([['a', 'b']]);
    await model.end();
    expect(await Promise.all([first, second])).toEqual(['A', 'B']);
  });

  it('lets nobody wait who was alone the last time, until somebody else comes again', async () => {
    const { batcher, model } = batcherOf();
    void batcher.submitAll(['a', 'b']);
    await vi.advanceTimersByTimeAsync(10);
    await model.end();
    void batcher.submitAll(['c', 'd']);
    expect(model.batches).toHaveLength(2);
    void batcher.submit('e');
    await model.end();
    expect(model.batches).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
    await model.end();
    for (const item of ['f', 'g', 'h']) void batcher.submit(item);
    expect(model.batches.at(-1)).toEqual(['f']);
    await model.end();
    await model.end();
    void batcher.submit('i');
    expect(model.batches.at(-1)).toEqual(['g', 'h']);
    await vi.advanceTimersByTimeAsync(10);
    expect(model.batches.at(-1)).toEqual(['i']);
  });

  it('begins at once when it is full, and at once without a delay', async () => {
    const { model, batcher } = batcherOf();
    const all = ['a', 'b', 'c', 'd', 'e'].map((item) => batcher.submit(item));
    expect(model.batches).toEqual([['a', 'b', 'c', 'd']]);
    await model.end();
    expect(model.batches[1]).toEqual(['e']);
    await model.end();
    expect(await Promise.all(all)).toEqual(['A', 'B', 'C', 'D', 'E']);
    const prompt = batcherOf({ maxDelayMs: 0 });
    void prompt.batcher.submit('a');
    expect(prompt.model.batches).toEqual([['a']]);
  });

  it('runs one batch at a time and takes what gathered meanwhile without another wait', async () => {
    const { model, batcher } = batcherOf();
    void batcher.submit('a');
    await vi.advanceTimersByTimeAsync(10);
    void batcher.submit('b');
    void batcher.submit('c');
    await vi.advanceTimersByTimeAsync(500);
    expect(model.batches).toEqual([['a']]);
    await model.end();
    expect(model.batches).toEqual([['a'], ['b', 'c']]);
  });

  it('tells sizes and waits', async () => {
    const told: [number, readonly number[]][] = [];
    const { model, batcher } = batcherOf({ onBatch: (size, waitsMs) => told.push([size, waitsMs]) });
    void batcher.submit('a');
    await vi.advanceTimersByTimeAsync(4);
    void batcher.submit('b');
    await vi.advanceTimersByTimeAsync(6);
    await model.end();
    expect(told).toEqual([[2, [10, 6]]]);
  });
});

describe('which items go together', () => {
  const sized = (options: Partial<BatcherOptions<string, string>>) =>
    batcherOf({ sizeOf: (item) => Number(item), maxDelayMs: 10, ...options });

  it('takes the oldest with those nearest to it in size, and leaves the others for their own batch', async () => {
    const { model, batcher } = sized({ maxBatch: 9 });
    for (const item of ['100', '5', '110', '300', '95', '140']) void batcher.submit(item);
    await vi.advanceTimersByTimeAsync(10);
    expect(model.batches).toEqual([['100', '95', '110', '140']]);
    await model.end();
    expect(model.batches[1]).toEqual(['5']);
    await model.end();
    expect(model.batches[2]).toEqual(['300']);
  });

  it('keeps the padded cost of a batch below its limit, but runs a larger item alone', async () => {
    const { model, batcher } = sized({ maxCost: 100 });
    for (const item of ['40', '20', '45']) void batcher.submit(item);
    expect(model.batches).toEqual([['40', '45']]);
    await model.end();
    expect(model.batches[1]).toEqual(['20']);
    void batcher.submit('50');
    void batcher.submit('51');
    await model.end();
    expect(model.batches[2]).toEqual(['50']);
    await model.end();
    expect(model.batches[3]).toEqual(['51']);
    void batcher.submit('500');
    await model.end();
    expect(model.batches[4]).toEqual(['500']);
  });

  it('starves no item: each is in the next batch once it is the oldest', async () => {
    const { model, batcher } = sized({ maxQueue: 100 });
    void batcher.submit('10');
    await vi.advanceTimersByTimeAsync(10);
    void batcher.submit('900');
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) void batcher.submit('10');
      await model.end();
    }
    expect(model.batches[1]).toEqual(['900']);
  });
});

describe('what is refused', () => {
  it('bounds the queue and says when to come back', async () => {
    const { batcher, model } = batcherOf({ maxQueue: 2, maxBatch: 2 });
    void batcher.submit('a');
    void batcher.submit('b');
    expect(model.batches.length).toBe(1);
    void batcher.submit('c');
    void batcher.submit('d');
    expect(batcher.depth).toBe(2);
    const refused = batcher.submit('e').catch((error: unknown) => error);
    expect(await refused).toMatchObject({ code: 'EXPERT_OVERLOADED', retryAfterMs: 5 });
    expect(() => batcher.admit(1)).toThrow('2 of at most 2');
    expect(() => batcher.admit(0)).not.toThrow();
    await model.end();
    expect(batcher.depth).toBe(0);
  });

  it('refuses what is cancelled or late on arrival, and what cannot begin in time', async () => {
    const { batcher, model } = batcherOf();
    expect(await codeOf(batcher.submit('a', { signal: AbortSignal.abort() }))).toBe('CANCELLED');
    expect(await codeOf(batcher.submit('a', { deadlineAtMs: Date.now() }))).toBe('DEADLINE_EXCEEDED');
    void batcher.submit('a');
    await vi.advanceTimersByTimeAsync(10);
    await vi.advanceTimersByTimeAsync(200);
    await model.end();
    // It was alone the last time, so it begins at once.
    void batcher.submit('b');
    // Batches take 0.8 * 5 + 0.2 * 200 = 44 ms by now, and one runs.
    expect(await codeOf(batcher.submit('c', { deadlineAtMs: Date.now() + 40 }))).toBe('DEADLINE_EXCEEDED');
    void batcher.submit('c', { deadlineAtMs: Date.now() + 50 });
    expect(batcher.depth).toBe(1);
  });
});

describe('several tenants', () => {
  const of = (tenant: string) => ({ tenant });

  it('take turns, whoever came with most', async () => {
    const { batcher, model } = batcherOf({ maxBatch: 2 });
    for (const item of ['a1', 'a2', 'a3', 'a4']) void batcher.submit(item, of('a'));
    void batcher.submit('b1', of('b'));
    await model.end();
    await model.end();
    expect(model.batches.flat().indexOf('b1')).toBe(2);
  });

  it('leave room for one another: who waits alone may fill the queue, and then has a share', async () => {
    const { batcher, model } = batcherOf({ maxQueue: 4, maxBatch: 1 });
    void batcher.submit('runs', of('a'));
    for (const item of ['a1', 'a2', 'a3', 'a4']) void batcher.submit(item, of('a'));
    expect(await codeOf(batcher.submit('a5', of('a')))).toBe('EXPERT_OVERLOADED');
    void batcher.submit('b1', of('b'));
    void batcher.submit('b2', of('b'));
    // Half of four is the share of each; a waits with more, and has first to have that answered.
    const refused = await batcher.submit('b3', of('b')).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'EXPERT_OVERLOADED' });
    expect(String(refused)).toContain('2 of at most 2 requests wait already, of 6 of 2 tenants');
    for (let i = 0; i < 4; i++) await model.end();
    expect(model.batches.flat()).toEqual(['runs', 'b1', 'a1', 'b2', 'a2']);
    expect(batcher.depth).toBe(2);
    expect(() => batcher.admit(1, 'a')).not.toThrow();
    expect(() => batcher.admit(3, 'a')).toThrow('2 of at most 4 requests wait already; try again');
  });

  it('are told to come back when their own items are through, not those of others', async () => {
    const { batcher } = batcherOf({ maxQueue: 6, maxBatch: 1 });
    for (let i = 0; i < 7; i++) void batcher.submit(`a${i}`, of('a'));
    void batcher.submit('b1', of('b'));
    void batcher.submit('c1', of('c'));
    void batcher.submit('c2', of('c'));
    const retryOf = async (tenant: string) => {
      const refused = await batcher.submitAll(['x', 'y', 'z'], of(tenant)).catch((error: unknown) => error);
      return ThalamusError.is(refused) ? refused.retryAfterMs : undefined;
    };
    // One item takes 5 ms. Before another of b there are its own and one of c, since a has had one already; before another of a all nine.
    expect([await retryOf('b'), await retryOf('a')]).toEqual([10, 45]);
  });

  it('fit into twice what one may have, all together; a request is taken whole', async () => {
    const { batcher } = batcherOf({ maxQueue: 4, maxBatch: 1 });
    void batcher.submit('runs', of('a'));
    void batcher.submitAll(['a1', 'a2', 'a3', 'a4'], of('a'));
    void batcher.submitAll(['b1', 'b2', 'b3', 'b4'], of('b'));
    expect(batcher.depth).toBe(8);
    expect(await codeOf(batcher.submitAll(['c1'], of('c')))).toBe('EXPERT_OVERLOADED');
    expect(batcher.depth).toBe(8);
  });

  it('are judged late by their own place: what waits of another is no reason', async () => {
    const { batcher } = batcherOf({ maxQueue: 200, maxBatch: 1 });
    for (let i = 0; i < 101; i++) void batcher.submit(`a${i}`, of('a'));
    const deadlineAtMs = Date.now() + 50;
    expect(await codeOf(batcher.submit('late', { ...of('a'), deadlineAtMs }))).toBe('DEADLINE_EXCEEDED');
    void batcher.submit('b', { ...of('b'), deadlineAtMs });
    expect(batcher.depth).toBe(101);
  });

  it('tells how many wait', async () => {
    let depth = 0;
    const { batcher, model } = batcherOf({ maxBatch: 1, onDepth: (change) => (depth += change) });
    const aborter = new AbortController();
    void batcher.submit('a', of('a'));
    const gone = codeOf(batcher.submit('b', { ...of('b'), signal: aborter.signal }));
    void batcher.submitAll(['c', 'd'], of('c'));
    expect([depth, batcher.depth]).toEqual([3, 3]);
    aborter.abort();
    expect(await gone).toBe('CANCELLED');
    expect(depth).toBe(2);
    for (let i = 0; i < 3; i++) await model.end();
    expect([depth, batcher.depth]).toEqual([0, 0]);
  });
});

describe('several batches at a time', () => {
  it('as many as are allowed', async () => {
    const { batcher, model } = batcherOf({
      maxBatch: 1,
      maxDelayMs: 0,
      lanes: { lanes: 2, press: () => undefined },
    });
    const all = ['a', 'b', 'c'].map((item) => batcher.submit(item));
    expect(model.batches).toEqual([['a'], ['b']]);
    await model.end(['A']);
    expect(model.batches).toEqual([['a'], ['b'], ['c']]);
    await model.end(['B']);
    await model.end(['C']);
    expect(await Promise.all(all)).toEqual(['A', 'B', 'C']);
  });

  it('second tries run with nothing beside them, before what waits, unless their deadline has passed', async () => {
    const { batcher, model } = batcherOf({
      maxBatch: 1,
      maxDelayMs: 0,
      lanes: { lanes: 2, press: () => undefined },
    });
    const killed = new ThalamusError('EXPERT_CRASHED', 'killed');
    const hostile = codeOf(batcher.submit('hostile'));
    const late = codeOf(batcher.submit('late', { deadlineAtMs: Date.now() + 50 }));
    const waits = batcher.submit('waits');
    await vi.advanceTimersByTimeAsync(10);
    await model.end(killed);
    // The neighbour still runs: nothing begins beside it.
    expect(model.batches).toEqual([['hostile'], ['late']]);
    await vi.advanceTimersByTimeAsync(50);
    await model.end(killed);
    expect(model.batches).toEqual([['hostile'], ['late'], ['hostile']]);
    await model.end(killed);
    expect(await Promise.all([hostile, late])).toEqual(['EXPERT_CRASHED', 'DEADLINE_EXCEEDED']);
    expect(model.batches.at(-1)).toEqual(['waits']);
    await model.end();
    expect(await waits).toBe('WAITS');
  });
});

describe('who leaves', () => {
  it('drops a waiting item as soon as its caller goes, and makes room for another', async () => {
    const { batcher, model } = batcherOf({ maxQueue: 1, maxBatch: 1 });
    const running = batcher.submit('a');
    const aborter = new AbortController();
    const waiting = codeOf(batcher.submit('b', { signal: aborter.signal }));
    expect(await codeOf(batcher.submit('c'))).toBe('EXPERT_OVERLOADED');
    aborter.abort(new ThalamusError('DEADLINE_EXCEEDED', 'too late'));
    expect(await waiting).toBe('DEADLINE_EXCEEDED');
    expect(batcher.depth).toBe(0);
    const next = batcher.submit('d');
    await model.end();
    await model.end();
    expect(await Promise.all([running, next])).toEqual(['A', 'D']);
    expect(model.batches).toEqual([['a'], ['d']]);
  });

  it('answers the caller of a running item at once, and its neighbours when the batch ends', async () => {
    const { batcher, model } = batcherOf({ maxBatch: 2 });
    const aborter = new AbortController();
    const gone = codeOf(batcher.submit('a', { signal: aborter.signal }));
    const stays = batcher.submit('b');
    aborter.abort();
    expect(await gone).toBe('CANCELLED');
    await model.end();
    expect(await stays).toBe('B');
  });

  it('drops an item whose deadline passed while it waited', async () => {
    const { batcher, model } = batcherOf({ maxBatch: 1 });
    void batcher.submit('a');
    const late = codeOf(batcher.submit('b', { deadlineAtMs: Date.now() + 20 }));
    const inTime = batcher.submit('c', { deadlineAtMs: Date.now() + 10_000 });
    await vi.advanceTimersByTimeAsync(30);
    await model.end();
    expect(await late).toBe('DEADLINE_EXCEEDED');
    await model.end();
    expect(await inTime).toBe('C');
    expect(model.batches).toEqual([['a'], ['c']]);
  });
});

describe('who fails', () => {
  const three = (options: Partial<BatcherOptions<string, string>> = {}) => {
    const { batcher, model } = batcherOf({ maxBatch: 3, ...options });
    const answers = ['a', 'bad', 'c'].map((item) =>
      batcher.submit(item).catch((error: unknown) => (ThalamusError.is(error) ? error.code : 'other')),
    );
    return { model, answers };
  };

  it('an item that the run refuses, alone', async () => {
    const { model, answers } = three();
    await model.end(['A', new ThalamusError('EXPERT_NOT_READY', 'unloaded'), 'C']);
    expect(await Promise.all(answers)).toEqual(['A', 'EXPERT_NOT_READY', 'C']);
  });

  it('an item that fails the whole run, alone: the others are run one by one', async () => {
    const run = (items: readonly string[]) =>
      items.includes('bad')
        ? Promise.reject(new ThalamusError('INFERENCE_FAILED', 'bad shape'))
        : Promise.resolve(items.map((item) => item.toUpperCase()));
    const { answers } = three({ run });
    expect(await Promise.all(answers)).toEqual(['A', 'INFERENCE_FAILED', 'C']);
  });

  it('nobody but the item that ends the process: each is run once more, alone', async () => {
    const batches: string[][] = [];
    const run = (items: readonly string[]) => {
      batches.push([...items]);
      return items.includes('bad')
        ? Promise.reject(new ThalamusError('EXPERT_CRASHED', 'killed'))
        : Promise.resolve(items.map((item) => item.toUpperCase()));
    };
    const { answers } = three({ run });
    expect(await Promise.all(answers)).toEqual(['A', 'EXPERT_CRASHED', 'C']);
    expect(batches).toEqual([['a', 'bad', 'c'], ['a'], ['bad'], ['c']]);
  });

  it('nobody when the process was killed once, alone in its batch or not', async () => {
    const { batcher, model } = batcherOf({ maxBatch: 1 });
    const answer = batcher.submit('a');
    await model.end(new ThalamusError('EXPERT_CRASHED', 'killed'));
    await model.end();
    expect(await answer).toBe('A');
  });

  it('an item that took too long, at once, and one whose caller has gone', async () => {
    const hung = new ThalamusError('EXPERT_CRASHED', 'no answer', { metadata: { cause: 'hung' } });
    const slow = batcherOf({ maxBatch: 1 });
    const slowAnswer = codeOf(slow.batcher.submit('a'));
    await slow.model.end(hung);
    expect(await slowAnswer).toBe('EXPERT_CRASHED');
    const { batcher, model } = batcherOf({ maxBatch: 2 });
    const aborter = new AbortController();
    const gone = codeOf(batcher.submit('a', { signal: aborter.signal }));
    const stays = batcher.submit('b', { deadlineAtMs: Date.now() + 5 });
    const late = codeOf(stays);
    aborter.abort();
    await vi.advanceTimersByTimeAsync(20);
    await model.end(new ThalamusError('EXPERT_CRASHED', 'killed'));
    expect(await Promise.all([gone, late])).toEqual(['CANCELLED', 'DEADLINE_EXCEEDED']);
    expect(model.batches).toEqual([['a', 'b']]);
  });

  it('items without an answer, and all when the fault is none of ours', async () => {
    const short = three();
    await short.model.end(['A']);
    expect(await Promise.all(short.answers)).toEqual(['A', 'INTERNAL', 'INTERNAL']);
    const foreign = three();
    await foreign.model.end(new Error('surprise'));
    expect(await Promise.all(foreign.answers)).toEqual(['INTERNAL', 'INTERNAL', 'INTERNAL']);
  });
});
