import { TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { EmbeddedEventBus, topicSpec, type BusRecord, type FencedWriter } from '@thalamus/events';
import { setLogLevel } from '@thalamus/telemetry';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
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
let term: CorrectorTerm;
beforeEach(async () => {
  setLogLevel('error');
  folder = await mkdtemp(join(tmpdir(), 'thalamus-term-'));
  bus = new EmbeddedEventBus({ file: join(folder, 'events.sqlite') });
  await bus.start();
  await bus.ensureTopics(Object.values(TOPICS).map(topicSpec));
  said = await CorrectorBus.open(bus);
});
afterEach(async () => {
  await term.end();
  await bus.close();
  await rm(folder, { recursive: true, force: true });
});

/** A term whose appends fail as the list says: before they are written, or after. */
async function begin(faults: ('before' | 'after' | undefined)[]): Promise<{ appends: number }> {
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
  term = new CorrectorTerm({ bus, view, judge, settings: SETTINGS }, writer);
  await term.begin(Date.now());
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
