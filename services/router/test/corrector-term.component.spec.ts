import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { deadLetterTopic, TOPICS, type eventsV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import {
  decodeEvent,
  EmbeddedEventBus,
  encodeEvent,
  topicSpec,
  type BusRecord,
  type CampaignOptions,
  type EventBus,
  type FencedWriter,
  type FollowOptions,
  type ReceivedRecord,
  type SubscribeOptions,
} from '@thalamus/events';
import type { RegistryView } from '@thalamus/registry';
import { setLogLevel } from '@thalamus/telemetry';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Corrector } from '../src/application/online/corrector.js';
import { CorrectorTerm } from '../src/application/online/corrector-term.js';
import { CorrectorBus } from './support/corrector-bus.js';

const POLL = { timeout: 20_000, interval: 25 };
const SETTINGS = {
  correction: { priorWeight: 20, bound: 0.25, halfLifeMs: 86_400_000, memory: 1e9 },
  drift: { tolerance: 0.05, runLength: 20_000 },
  window: { capacity: 1_000, ageMs: 3_600_000 },
  sweepMs: 1_000_000,
};

let folder: string;
let bus: EmbeddedEventBus;
let said: CorrectorBus;
let term: CorrectorTerm | undefined;
beforeEach(async () => {
  setLogLevel('error');
  folder = await mkdtemp(join(tmpdir(), 'thalamus-term-'));
  bus = new EmbeddedEventBus({ file: join(folder, 'events.sqlite') });
  await bus.start();
  await bus.ensureTopics(Object.values(TOPICS).map(topicSpec));
  said = await CorrectorBus.open(bus);
});
afterEach(async () => {
  await term?.end();
  term = undefined;
  await bus.close();
  await rm(folder, { recursive: true, force: true });
});

const judge = {
  unitOf: () => 'error' as const,
  serves: () => true,
  run: (
    request: { expert: string; version: string; routerModel: string; region: number; predicted: number },
    given: { score: number; atMs: number },
  ) => ({
    kind: 'counts' as const,
    outcome: { ...request, unit: 'error' as const, observed: 1 - given.score, atMs: given.atMs },
  }),
};

/** A term whose appends fail as the list says: before they are written, or after. */
async function begin(faults: ('before' | 'after' | undefined)[] = []): Promise<{ appends: number }> {
  const count = { appends: 0 };
  const writer: FencedWriter = {
    append: async (records: readonly BusRecord[]) => {
      count.appends += 1;
      const fault = faults.shift();
      const lost = () => new ThalamusError('KAFKA_UNREACHABLE', 'The broker did not answer.');
      if (fault === 'before') throw lost();
      const positions = await bus.publish(records);
      if (fault === 'after') throw lost();
      return positions;
    },
  };
  const view = {
    records: said.records,
    // What has been written is read by the time that the view says so.
    refresh: () => new Promise<void>((resolve) => setTimeout(resolve, 200)),
    resetAtMs: () => 0,
  };
  term = new CorrectorTerm({ bus, view, judge, settings: SETTINGS }, writer);
  await term.begin();
  return count;
}

it.each([
  ['nothing was written', 'before' as const],
  ['all was written, and nobody said so', 'after' as const],
])('an append that fails when %s: what it held is folded in once', async (_what, fault) => {
  const count = await begin([undefined, fault, fault]);
  await said.outcome('good', 0.25, 0);
  await expect.poll(() => said.seen('good'), POLL).toBe(1);
  await said.outcome('good', 0.25, 1);
  await said.outcome('good', 0.25, 0);
  await said.outcome('spare', 0.25, 0);
  await expect.poll(() => said.seen('spare'), POLL).toBe(1);
  await expect.poll(() => said.seen('good'), POLL).toBe(3);
  // Residuals of 0.75, -0.25 and 0.75.
  expect(said.records.get('good/0')?.residualSum).toBeCloseTo(1.25, 4);
  expect(said.records.get('good/0')?.weight).toBeCloseTo(3, 4);
  // At least one of them failed.
  expect(count.appends).toBeGreaterThan(2);
});

it('feedback waits while the bus is away, however often it is tried, and is no dead letter for that', async () => {
  const letters: ReceivedRecord[] = [];
  const count = await begin([undefined, ...Array.from({ length: 6 }, () => 'before' as const)]);
  await said.outcome('spare', 0.25, 0);
  await expect.poll(() => said.seen('spare'), POLL).toBe(1);
  await said.outcome('good', 0.25, 0);
  await expect.poll(() => said.seen('good'), POLL).toBe(1);
  expect(count.appends).toBe(8);
  const topic = deadLetterTopic(TOPICS.feedbackGiven.name);
  await (
    await bus.follow({ topic, onRecord: (record) => letters.push(record) })
  ).caughtUp;
  expect(letters).toEqual([]);
});

describe('what a term knows of the terms before it', () => {
  const next = async () => {
    await term?.end();
    await begin();
  };

  it('is which requests are judged: a second piece of feedback counts for nothing', async () => {
    await begin();
    const once = await said.outcome('good', 0.25, 0);
    await expect.poll(() => said.seen('good'), POLL).toBe(1);
    await next();
    for (let at = 0; at < 3; at++) await said.feedback(once, 0);
    await said.outcome('good', 0.25, 0, { requestId: once });
    await said.outcome('spare', 0.25, 0);
    await expect.poll(() => said.seen('spare'), POLL).toBe(1);
    await next();
    await said.feedback(once, 0);
    await said.outcome('spare', 0.25, 0);
    await expect.poll(() => said.seen('spare'), POLL).toBe(2);
    expect(said.seen('good')).toBe(1);
  });

  it('is feedback that came before its request, of each tenant its own', async () => {
    await begin();
    await said.feedback('early', 0);
    await said.feedback('early', 1, { tenant: 'other' });
    await said.outcome('spare', 0.25, 0);
    await expect.poll(() => said.seen('spare'), POLL).toBe(1);
    const folded = () =>
      said.records.get('/folded')?.folded.reduce((sum, { nextOffset }) => sum + nextOffset, 0n);
    await expect.poll(folded, POLL).toBe(3n);
    await next();
    await said.answered('good', 0.25, { requestId: 'early', tenant: 'other' });
    await said.answered('good', 0.25, { requestId: 'early' });
    await expect.poll(() => said.seen('good'), POLL).toBe(2);
    await next();
    await said.feedback('early', 0);
    await said.feedback('early', 0, { tenant: 'other' });
    await said.outcome('spare', 0.25, 0);
    await expect.poll(() => said.seen('spare'), POLL).toBe(2);
    expect(said.seen('good')).toBe(2);
    // 0.75 of a score of 0, -0.25 of a score of 1.
    expect(said.records.get('good/0')?.residualSum).toBeCloseTo(0.5, 4);
  });
});

describe('a term that ends while it begins', () => {
  const writer: FencedWriter = { append: () => Promise.reject(new Error('Nothing is to be written.')) };
  const view = { records: new Map(), refresh: () => Promise.resolve(), resetAtMs: () => 0 };

  it.each(['follow', 'subscribe'] as const)(
    'leaves nothing behind that takes feedback: at %s',
    async (at) => {
      let go: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (go = resolve));
      const open = new Set<object>();
      const opened = async (what: 'follow' | 'subscribe') => {
        if (what === at) await gate;
        const one = following(() => Promise.resolve(void open.delete(one)));
        open.add(one);
        return one;
      };
      const slow = { follow: () => opened('follow'), subscribe: () => opened('subscribe') };
      term = new CorrectorTerm({ bus: slow, view, judge, settings: SETTINGS }, writer);
      const beginning = term.begin();
      await new Promise((resolve) => setTimeout(resolve, 20));
      await term.end();
      go();
      await beginning;
      expect(open.size).toBe(0);
    },
  );

  it('does not begin at all when it ended before', async () => {
    let asked = 0;
    const never = () => Promise.reject(new Error(String(++asked)));
    const parts = { bus: { follow: never, subscribe: never }, view, judge, settings: SETTINGS };
    term = new CorrectorTerm(parts, writer);
    await term.end();
    await term.begin();
    expect(asked).toBe(0);
  });
});

it('ends the term of who is revoked while its earlier term still ends', async () => {
  const open = new Set<object>();
  let letGo: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  const opened = () => {
    const one = following(async () => {
      await gate;
      open.delete(one);
    });
    open.add(one);
    return Promise.resolve(one);
  };
  let election: CampaignOptions | undefined;
  const elections = {
    // What was said before is read to its end at once.
    follow: ({ topic }: FollowOptions) =>
      topic === TOPICS.feedbackGiven.name ? Promise.resolve(following()) : opened(),
    subscribe: opened,
    campaign: (options: CampaignOptions) => {
      election = options;
      return Promise.resolve({ leader: () => '', resign: () => Promise.resolve() });
    },
  };
  const view = { records: new Map(), refresh: () => Promise.resolve(), resetAtMs: () => 0 };
  const parts = { bus: elections, view, judge, settings: SETTINGS };
  const registry = { onChange: () => () => undefined } as unknown as RegistryView;
  const corrector = new Corrector(elections as unknown as EventBus, registry, parts, () => 'here');
  const writer: FencedWriter = { append: () => Promise.resolve([]) };
  await corrector.start();
  await election?.onElected(writer, 1n);
  expect(open.size).toBe(2);
  election?.onRevoked('shared anew');
  const again = election?.onElected(writer, 2n);
  election?.onRevoked('shared anew');
  letGo();
  await again;
  expect(open.size).toBe(0);
  expect(corrector.isLeader).toBe(false);
  await corrector.drain();
});

it('counts feedback whose publisher is ahead of time as of now, so that what comes after it counts too', async () => {
  const written: eventsV1.RouteCorrection[] = [];
  const writer: FencedWriter = {
    append: (records) => {
      for (const record of records)
        if (record.key === 'good/0') written.push(decodeEvent(TOPICS.routeCorrection, received(record))!);
      return Promise.resolve([]);
    },
  };
  let request: FollowOptions['onRecord'] | undefined;
  let feedback: SubscribeOptions['handle'] | undefined;
  const fake = {
    follow: ({ topic, onRecord }: FollowOptions) => {
      if (topic === TOPICS.requestCompleted.name) request = onRecord;
      return Promise.resolve(following());
    },
    subscribe: ({ handle }: SubscribeOptions) => {
      feedback = handle;
      return Promise.resolve(following());
    },
  };
  const view = { records: new Map(), refresh: () => Promise.resolve(), resetAtMs: () => 0 };
  term = new CorrectorTerm({ bus: fake, view, judge, settings: SETTINGS }, writer);
  const nowMs = Date.now();
  await term.begin();
  const year = 365 * 86_400_000;
  for (const [at, timestampMs] of [nowMs + year, nowMs].entries()) {
    const completed = encodeEvent(
      TOPICS.requestCompleted,
      {
        requestId: `r${at}`,
        tenant: 'default',
        expert: 'good',
        version: '1',
        channel: 'stable',
        routed: true,
        routerModel: 'constant@1',
        candidates: [{ expert: 'good', predictedLoss: 0.25, total: 0.25 }],
        completedAt: timestampFromMs(nowMs),
      },
      { source: '/test', key: `r${at}` },
    );
    request?.(received(completed));
    const said = encodeEvent(
      TOPICS.feedbackGiven,
      { requestId: `r${at}`, tenant: 'default', label: '', score: 0 },
      { source: '/test', key: `r${at}` },
    );
    const signal = new AbortController().signal;
    await feedback?.({ ...received(said), offset: BigInt(at), timestampMs }, { signal });
  }
  expect(written.at(-1)?.weight).toBeCloseTo(2, 3);
});

it('feedback waits when requests cannot be read within their time', async () => {
  let feedback: SubscribeOptions['handle'] | undefined;
  const fake = {
    follow: () => Promise.resolve({ ...following(), catchUp: () => new Promise<void>(() => undefined) }),
    subscribe: ({ handle }: SubscribeOptions) => {
      feedback = handle;
      return Promise.resolve(following());
    },
  };
  const view = { records: new Map(), refresh: () => Promise.resolve(), resetAtMs: () => 0 };
  const writer: FencedWriter = { append: () => Promise.reject(new Error('Nothing is to be written.')) };
  term = new CorrectorTerm({ bus: fake, view, judge, settings: SETTINGS }, writer);
  await term.begin();
  vi.useFakeTimers();
  try {
    const message = { requestId: 'r', tenant: 'default', label: '', score: 0 };
    const said = encodeEvent(TOPICS.feedbackGiven, message, { source: '/test', key: 'r' });
    const record = { ...received(said), timestampMs: Date.now() };
    const ending = feedback?.(record, { signal: new AbortController().signal });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await ending).toMatchObject({ kind: 'wait', error: { code: 'DEADLINE_EXCEEDED' } });
  } finally {
    vi.useRealTimers();
  }
});

function received(record: BusRecord): ReceivedRecord {
  return { ...record, partition: 0, offset: 0n, timestampMs: 0, attempt: 1 };
}

/** A follower and a subscription that nothing comes from. */
function following(stop: () => Promise<void> = () => Promise.resolve()) {
  return {
    caughtUp: Promise.resolve(),
    catchUp: () => Promise.resolve(),
    pause: () => undefined,
    resume: () => undefined,
    lag: () => Promise.resolve(0n),
    stop,
  };
}
