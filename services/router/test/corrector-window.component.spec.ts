import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TOPICS, type eventsV1 } from '@thalamus/contracts';
import { EmbeddedEventBus, topicSpec, type FencedWriter } from '@thalamus/events';
import { setLogLevel } from '@thalamus/telemetry';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CorrectorTerm, type CorrectorParts } from '../src/application/online/corrector-term.js';
import { OutcomeLedger } from '../src/application/online/outcome-ledger.js';
import { CorrectorBus } from './support/corrector-bus.js';

const POLL = { timeout: 20_000, interval: 25 };
const AGE_MS = 1_000;
const SETTINGS = {
  correction: { priorWeight: 20, bound: 0.25, halfLifeMs: 86_400_000, memory: 1e9 },
  drift: { tolerance: 0.05, runLength: 20_000 },
  window: { capacity: 1_000, ageMs: AGE_MS },
  sweepMs: 1_000_000,
};

let folder: string;
let bus: EmbeddedEventBus;
let said: CorrectorBus;
let term: CorrectorTerm | undefined;
beforeEach(async () => {
  setLogLevel('error');
  folder = await mkdtemp(join(tmpdir(), 'thalamus-window-'));
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

/** Nothing is known of the loss unit of what `legacy` was predicted by. */
const judge: CorrectorParts['judge'] = {
  unitOf: () => 'error' as const,
  serves: () => true,
  run: (request, given) =>
    request.expert === 'legacy'
      ? { kind: 'unknown' }
      : {
          kind: 'counts',
          outcome: { ...request, unit: 'error', observed: 1 - given.score, atMs: given.atMs },
        },
};

async function begin(): Promise<void> {
  const writer: FencedWriter = { append: (records) => bus.publish(records) };
  const view = {
    records: said.records,
    // What has been written is read by the time that the view says so.
    refresh: () => sleep(200),
    resetAtMs: () => 0,
  };
  term = new CorrectorTerm({ bus, view, judge, settings: SETTINGS }, writer);
  await term.begin();
}

it('feedback that nobody took for longer than the window still counts: it was given in time', async () => {
  await said.outcome('good', 0.25, 0);
  await sleep(AGE_MS + 500);
  await begin();
  await said.outcome('spare', 0.25, 0);
  await expect.poll(() => said.seen('spare'), POLL).toBe(1);
  await expect.poll(() => said.seen('good'), POLL).toBe(1);
});

it('feedback whose loss unit does not become known is given up, and holds nobody else for ever', async () => {
  await begin();
  for (let at = 0; at < 12; at++) await said.outcome('legacy', 0.25, 0);
  for (let at = 0; at < 12; at++) await said.outcome('good', 0.25, 0);
  await expect.poll(() => said.seen('good'), POLL).toBe(12);
  expect(said.seen('legacy')).toBe(0);
});

it('an id that is used again after the window stands for the new request', async () => {
  await begin();
  await said.answered('good', 0.25, { requestId: 'same' });
  await sleep(AGE_MS + 300);
  await said.outcome('good', 0.25, 0, { requestId: 'same' });
  await expect.poll(() => said.seen('good'), POLL).toBe(1);
});

it('feedback does not judge a request that came later than the window', async () => {
  await begin();
  await said.feedback('later', 0);
  await sleep(AGE_MS + 300);
  await said.answered('good', 0.25, { requestId: 'later' });
  await said.outcome('spare', 0.25, 0);
  await expect.poll(() => said.seen('spare'), POLL).toBe(1);
  expect(said.seen('good')).toBe(0);
});

it('a request that early feedback was judged by is written as seen, whatever the verdict', () => {
  const nowMs = Date.now();
  const frozen = { ...judge, run: () => ({ kind: 'frozen' as const }) };
  const ledger = new OutcomeLedger(
    { judge: frozen, settings: SETTINGS },
    new Map<string, eventsV1.RouteCorrection>(),
  );
  const at = (offset: bigint) => ({ partition: 0, offset, timestampMs: nowMs });
  const keys = () => ledger.book.takeUnwritten().map(({ key }) => key);
  expect(ledger.given({ tenant: 't', requestId: 'r', score: 0, atMs: nowMs, record: at(0n) })).toBe(
    'unmatched',
  );
  expect(keys()).toEqual(['/folded']);
  const event = {
    requestId: 'r',
    tenant: 't',
    task: '',
    expert: 'good',
    version: '1',
    channel: 'stable',
    routed: true,
    errorCode: '',
    routerModel: 'constant@1',
    regionId: 0,
    candidates: [{ expert: 'good', predictedLoss: 0.25, total: 0.25 }],
    completedAt: timestampFromMs(nowMs),
  } as unknown as eventsV1.RequestCompleted;
  expect(ledger.completed(event, at(0n))).toBe('frozen');
  expect(keys()).toEqual(['/folded']);
});
