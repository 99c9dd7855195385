import { deadLetterTopic, EVENT_HEADERS, registryV1, TOPICS } from '@thalamus/contracts';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ReceivedRecord } from '@thalamus/events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CorrectorBus } from './support/corrector-bus.js';
import { RouterUnderTest, TASK } from './support/router-under-test.js';

// Loading the encoder takes a while on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const LOSSES = { good: 0.25, spare: 0.5 };
const FAST = { THALAMUS_CORRECTION_SWEEP_MS: '100' };
const POLL = { timeout: 30_000, interval: 25 };
/** Bad answers that bring the correction of `good` above the distance to `spare`: 4.36 nats each, a prior of 20. */
const ENOUGH = 3;

let router: RouterUnderTest;
let bus: CorrectorBus;
beforeEach(async () => {
  router = await RouterUnderTest.prepare();
  bus = await CorrectorBus.open(router.bus);
  for (const name of Object.keys(LOSSES)) await router.expert(name);
  await router.activate('constant', await router.storeConstantRouter('constant', LOSSES));
});
afterEach(() => router.stop());

const decide = async (from: RouterUnderTest = router, tenant = 'default') =>
  (await from.client.route({ prompt: 'x', task: TASK, tenant })).decision;
const winner = async (from?: RouterUnderTest, tenant?: string) =>
  (await decide(from, tenant))?.ranked[0]?.expert;
const fail = async (times: number, expert: keyof typeof LOSSES = 'good') => {
  for (let at = 0; at < times; at++) await bus.outcome(expert, LOSSES[expert], 0);
};
const policy = (tenant: string, value: object) =>
  router.register(`policy/${tenant}`, { case: 'policy', value: { tenant, ...value } });

describe('online correction', () => {
  it('moves decisions away from whom feedback speaks against, and shows by how much', async () => {
    await router.start(FAST);
    expect(await winner()).toBe('good');
    await fail(ENOUGH);
    await expect.poll(() => winner(), POLL).toBe('spare');
    const good = (await decide())?.ranked.find(({ expert }) => expert === 'good');
    const residual = Math.log(100) - LOSSES.good;
    expect(good?.predictedLoss).toBeCloseTo(LOSSES.good, 6);
    await expect.poll(() => bus.seen('good'), POLL).toBe(ENOUGH);
    const last = (await decide())?.ranked.find(({ expert }) => expert === 'good');
    // The memory of 500 outcomes takes a little off the earlier ones.
    expect(last?.correction).toBeCloseTo((ENOUGH * residual) / (ENOUGH + 20), 2);
    expect(last?.total).toBeCloseTo(LOSSES.good + (last?.correction ?? 0), 6);
    const parts: string[] = [];
    for await (const { part } of router.client.explain({ request: { prompt: 'x', task: TASK } }))
      if (part.case === 'candidate')
        parts.push(`${part.value.expert?.expert} ${part.value.expert?.correction !== 0}`);
    expect(parts.sort()).toEqual(['good true', 'spare false']);
  });

  it('never goes beyond its bound, and says nothing of prompts', async () => {
    await router.start({ ...FAST, THALAMUS_CORRECTION_BOUND: '0.01' });
    const canary = 'canary-7c41e0';
    await router.client.route({ prompt: `Where is ${canary}?`, task: TASK });
    await fail(ENOUGH);
    await expect.poll(() => bus.seen('good'), POLL).toBe(ENOUGH);
    expect(bus.records.get('good/0')?.bias).toBeCloseTo(0.01 * Math.log(100), 9);
    expect(await winner()).toBe('good');
    const log = await Promise.all(
      ['events.sqlite', 'events.sqlite-wal'].map((name) => readFile(join(router.folder, name))),
    );
    expect(log.some((bytes) => bytes.includes('constant@1'))).toBe(true);
    expect(log.some((bytes) => bytes.includes(canary))).toBe(false);
  });

  it('counts each event and each request once, of its own tenant, also when feedback comes first', async () => {
    await router.start(FAST);
    const once = await bus.answered('good', LOSSES.good);
    for (let at = 0; at < 3; at++) await bus.feedback(once, 0, { id: 'the same event' });
    for (let at = 0; at < 3; at++) await bus.feedback(once, 0);
    await bus.feedback(await bus.answered('good', LOSSES.good), 0, { tenant: 'stranger' });
    await bus.feedback(await bus.answered('good', LOSSES.good), undefined);
    await bus.feedback('nobody asked', 0);
    await bus.feedback('early', 0);
    await bus.answered('good', LOSSES.good, { requestId: 'early' });
    for (const facts of [
      { routed: false },
      { errorCode: 'UPSTREAM_ERROR' },
      { channel: 'candidate' },
      { version: '2' },
      { routerModel: 'another@1' },
      { candidates: [] },
    ])
      await bus.outcome('good', LOSSES.good, 0, facts);
    await bus.outcome('spare', LOSSES.spare, 1);
    await expect.poll(() => bus.seen('spare'), POLL).toBe(1);
    await expect.poll(() => bus.seen('good'), POLL).toBe(2);
    expect(bus.records.get('good/0')?.weight).toBeCloseTo(2, 1);
  });

  it('gives up feedback that cannot be read, and goes on', async () => {
    await router.start(FAST);
    const letters: ReceivedRecord[] = [];
    const topic = TOPICS.feedbackGiven.name;
    const headers = { [EVENT_HEADERS.id]: 'poison', [EVENT_HEADERS.type]: TOPICS.feedbackGiven.type };
    await router.bus.publish([{ topic, key: 'k', value: new Uint8Array([255, 255, 255]), headers }]);
    await bus.feedback(await bus.answered('good', LOSSES.good), 7);
    await fail(1);
    await expect.poll(() => bus.seen('good'), POLL).toBe(1);
    await router.bus.follow({ topic: deadLetterTopic(topic), onRecord: (record) => letters.push(record) });
    await expect.poll(() => letters.length, POLL).toBe(2);
    expect(letters.map(({ headers: said }) => said[EVENT_HEADERS.errorCode])).toEqual([
      'EVENT_INVALID',
      'EVENT_INVALID',
    ]);
  });

  it('is decided the same by all replicas, and outlives its corrector', async () => {
    await router.start(FAST);
    const other = await router.replica(FAST);
    await fail(ENOUGH);
    await expect.poll(() => winner(), POLL).toBe('spare');
    await expect.poll(() => winner(other), POLL).toBe('spare');
    await expect.poll(() => bus.seen('good'), POLL).toBe(ENOUGH);
    await expect
      .poll(async () => (await decide(other))?.ranked.map(({ total }) => total), POLL)
      .toEqual((await decide())?.ranked.map(({ total }) => total));
    const before = bus.records.get('good/0');
    const unheard = await bus.answered('good', LOSSES.good);
    await router.halt();
    // The other goes on from what is written, and knows requests that were answered in the term before.
    await bus.feedback(unheard, 0);
    await expect.poll(() => bus.seen('good'), POLL).toBe(ENOUGH + 1);
    expect(bus.records.get('good/0')?.residualSum).toBeGreaterThan(before?.residualSum ?? Infinity);
    expect(bus.records.get('good/0')?.since).toEqual(before?.since);
    await other.halt();
  });

  it('is rebuilt from what is written, and folds nothing in twice, when the only router starts again', async () => {
    await router.start(FAST);
    await fail(ENOUGH);
    await expect.poll(() => bus.seen('good'), POLL).toBe(ENOUGH);
    await router.halt();
    await router.start(FAST);
    expect(await winner()).toBe('spare');
    await fail(1);
    await expect.poll(() => bus.seen('good'), POLL).toBe(ENOUGH + 1);
    expect(bus.records.get('good/0')?.weight).toBeCloseTo(ENOUGH + 1, 1);
  });

  it('is frozen, switched off and forgotten as policies say', async () => {
    await policy('wary', { onlineCorrection: registryV1.OnlineCorrection.OFF });
    await policy('quiet', { onlineCorrection: registryV1.OnlineCorrection.FROZEN });
    await router.start(FAST);
    for (const tenant of ['wary', 'quiet']) await bus.outcome('spare', LOSSES.spare, 0, { tenant });
    await fail(ENOUGH);
    await expect.poll(() => winner(), POLL).toBe('spare');
    expect(await winner(router, 'quiet')).toBe('spare');
    expect(await winner(router, 'wary')).toBe('good');
    expect(bus.seen('spare')).toBe(0);
    await policy('default', { correctionsResetAt: timestampFromMs(Date.now() + 1) });
    await expect.poll(() => winner(), POLL).toBe('good');
    await expect.poll(() => [...bus.records.keys()], POLL).toEqual(['/folded']);
    await fail(1);
    await expect.poll(() => bus.seen('good'), POLL).toBe(1);
  });

  it('goes on while the corrector cannot load the router model that others decide by', async () => {
    await router.start(FAST);
    await fail(ENOUGH);
    await expect.poll(() => bus.seen('good'), POLL).toBe(ENOUGH);
    await router.halt();
    // Nothing is in its store, and nothing in its cache.
    const bare = { THALAMUS_ARTIFACTS_FOLDER: 'nothing', THALAMUS_DATA: 'empty' };
    const folders = Object.entries(bare).map(
      ([name, folder]) => [name, join(router.folder, folder)] as const,
    );
    await router.start({ ...FAST, ...Object.fromEntries(folders) });
    expect(router.readiness()).toMatchObject({ ready: false });
    await fail(1);
    await expect.poll(() => bus.seen('good'), POLL).toBe(ENOUGH + 1);
    await fail(1, 'spare');
    await expect.poll(() => bus.seen('spare'), POLL).toBe(1);
    expect(bus.records.get('good/0')?.weight).toBeCloseTo(ENOUGH + 1, 1);
  });

  it('wears off without outcomes', async () => {
    await router.start({ ...FAST, THALAMUS_CORRECTION_HALF_LIFE_MS: '300' });
    await fail(ENOUGH);
    await expect.poll(() => bus.records.has('good/drift'), POLL).toBe(true);
    await expect.poll(() => bus.records.has('good/0'), POLL).toBe(false);
    expect(await winner()).toBe('good');
  });

  it('is given up when another version becomes the stable one', async () => {
    await router.start(FAST);
    await fail(ENOUGH);
    await expect.poll(() => winner(), POLL).toBe('spare');
    await router.register('version/good@2', {
      case: 'version',
      value: { expert: 'good', version: '2', task: TASK },
    });
    await router.register('expert/good', {
      case: 'expert',
      value: { name: 'good', task: TASK, stable: '2' },
    });
    await expect.poll(() => winner(), POLL).toBe('good');
    await expect.poll(() => [...bus.records.keys()], POLL).toEqual(['/folded']);
  });

  it('raises one alarm when an expert does worse than predicted', async () => {
    await router.start({ ...FAST, THALAMUS_DRIFT_RUN_LENGTH: '100' });
    await fail(20);
    await expect.poll(() => bus.seen('good'), POLL).toBe(20);
    expect(bus.alarms).toHaveLength(1);
    expect(bus.alarms[0]).toMatchObject({
      expert: 'good',
      version: '1',
      routerModel: 'constant@1',
      lossUnit: 'nats',
    });
    expect(bus.alarms[0]?.observedLoss).toBeCloseTo(Math.log(100), 6);
    expect(bus.alarms[0]?.predictedLoss).toBeCloseTo(LOSSES.good, 6);
  });
});

describe('a conversation', () => {
  it('keeps its expert unless another is better by more than the margin', async () => {
    await router.start({ THALAMUS_STAY_MARGIN: '0.3' });
    const ask = async (
      currentExpert: string,
      flags: { name: string; form: { case: 'weight'; value: number } }[] = [],
    ) => (await router.client.route({ prompt: 'x', task: TASK, currentExpert, flags })).decision;
    expect((await ask(''))?.ranked[0]?.expert).toBe('good');
    const stays = await ask('spare');
    expect(stays?.ranked.map(({ expert }) => expert)).toEqual(['spare', 'good']);
    expect(stays?.reason).toBe(
      'spare has the conversation and keeps it: good is better by 0.250, within the margin of 0.300.',
    );
    expect((await ask('good'))?.reason).toContain('good has the least total');
    expect((await ask('unknown'))?.ranked[0]?.expert).toBe('good');
  });
});
