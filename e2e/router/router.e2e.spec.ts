import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { recordedUpdate } from './recorded-update.js';
import { RouterMesh, TASK, type Replica } from './router-mesh.js';

const POLL = { timeout: 90_000, interval: 100 };
/** Outcomes that are published at once. */
const AT_ONCE = 50;

const { fallen, steady } = recordedUpdate();
const LOSSES = { [fallen.expert]: fallen.predicted, [steady.expert]: steady.predicted };
const SWAPPED = { [fallen.expert]: 0.9, [steady.expert]: 0.1 };

let mesh: RouterMesh;
let first: Replica;
let second: Replica;
beforeAll(async () => {
  mesh = new RouterMesh(inject('meshBrokers'));
  await mesh.start();
  [first, second] = mesh.replicas as [Replica, Replica];
  for (const { expert } of [fallen, steady]) await mesh.expert(expert);
  await mesh.activate('fitted', LOSSES);
  for (const replica of mesh.replicas)
    await waitUntil('a router decides', async () => (await winner(replica)) === fallen.expert, {
      timeoutMs: 90_000,
    });
});
afterAll(() => mesh.stop());

const decide = async ({ client }: Replica, prompt = 'Is 17077 a prime number?') =>
  (await client.route({ prompt, task: TASK })).decision;
const winner = async (replica: Replica) => (await decide(replica).catch(() => undefined))?.ranked[0]?.expert;
const corrected = async (replica: Replica) =>
  (await decide(replica))?.ranked.map(({ expert, correction, total }) => ({ expert, correction, total }));

describe('RouteStream', () => {
  it('answers in order, and a request that fails ends alone', async () => {
    const wishes = Array.from({ length: 200 }, (_, at) => ({
      prompt: at % 50 === 7 ? ' ' : `Is ${at} a prime number?`,
      task: TASK,
      requestId: `r${at}`,
    }));
    async function* requests() {
      for (const request of wishes) yield await Promise.resolve({ request });
    }
    const ends: string[] = [];
    for await (const { requestId, result } of first.client.routeStream(requests()))
      ends.push(`${requestId} ${result.case === 'error' ? result.value.code : (result.case ?? '')}`);
    expect(ends).toEqual(
      wishes.map(({ requestId }, at) => `${requestId} ${at % 50 === 7 ? 'REQUEST_INVALID' : 'response'}`),
    );
  });
});

describe('a router model that changes under load', () => {
  it('loses no decision, and mixes none', async () => {
    const swap = { isDone: false };
    const asked: string[] = [];
    async function* requests() {
      for (let at = 0; !swap.isDone; at++) {
        asked.push(`r${at}`);
        // A pause now and then, so that the swap is not starved.
        if (at % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 5));
        yield { request: { prompt: `Is ${at} a prime number?`, task: TASK, requestId: `r${at}` } };
      }
    }
    const answered: string[] = [];
    const found = new Map<string, Set<string>>();
    const reading = (async () => {
      for await (const { requestId, result } of first.client.routeStream(requests(), {
        deadlineMs: 100_000,
      })) {
        answered.push(requestId);
        if (result.case !== 'response')
          throw new Error(`${requestId}: ${result.value?.message ?? 'nothing'}`);
        const { routerModel = '', ranked = [] } = result.value.decision ?? {};
        const losses = ranked.map(({ expert, predictedLoss }) => `${expert} ${predictedLoss.toFixed(4)}`);
        found.set(routerModel, (found.get(routerModel) ?? new Set()).add(losses.join()));
      }
    })();
    await expect.poll(() => found.has('fitted'), POLL).toBe(true);
    await mesh.activate('swapped', SWAPPED);
    await expect.poll(() => found.has('swapped'), POLL).toBe(true);
    await mesh.activate('fitted', LOSSES);
    const before = answered.length;
    await expect.poll(() => winner(first), POLL).toBe(fallen.expert);
    await expect.poll(() => answered.length, POLL).toBeGreaterThan(before);
    swap.isDone = true;
    await reading;
    expect(answered).toEqual(asked);
    const ranking = (losses: Record<string, number>) =>
      Object.entries(losses)
        .sort(([, a], [, b]) => a - b)
        .map(([expert, loss]) => `${expert} ${loss.toFixed(4)}`)
        .join();
    expect(Object.fromEntries(found)).toEqual({
      fitted: new Set([ranking(LOSSES)]),
      swapped: new Set([ranking(SWAPPED)]),
    });
    await expect.poll(() => winner(second), POLL).toBe(fallen.expert);
  });
});

describe('a recorded update that made a model worse', () => {
  it('changes nothing before it comes', async () => {
    for (const expert of [fallen, steady]) {
      await mesh.outcomes('fitted', expert, expert.before.slice(0, 2 * AT_ONCE));
      await expect.poll(() => mesh.seen(expert.expert), POLL).toBe(2 * AT_ONCE);
    }
    expect(mesh.alarms).toEqual([]);
    expect(await winner(first)).toBe(fallen.expert);
  });

  it('moves traffic away and raises the alarm within 300 outcomes', async () => {
    for (let from = 0; from < 300 && mesh.alarms.length === 0; from += AT_ONCE) {
      const seen = mesh.seen(fallen.expert);
      await mesh.outcomes('fitted', fallen, fallen.after.slice(from, from + AT_ONCE));
      await expect.poll(() => mesh.seen(fallen.expert), POLL).toBe(seen + AT_ONCE);
      // The alarm is in the same append as what was seen; it may be read a moment later.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(mesh.alarms).toHaveLength(1);
    expect(mesh.alarms[0]).toMatchObject({ expert: fallen.expert, version: '1', routerModel: 'fitted@1' });
    expect(Number(mesh.alarms[0]?.outcomes) - 2 * AT_ONCE).toBeLessThanOrEqual(300);
    for (const replica of [first, second]) await expect.poll(() => winner(replica), POLL).toBe(steady.expert);
    const metrics = (await Promise.all(mesh.replicas.map((replica) => replica.metrics()))).join('\n');
    expect(metrics).toMatch(/^thalamus_router_drift_alarms_total\{thalamus_expert_name="gpt-4"\} 1$/m);
  });

  it('is corrected alike by both replicas', async () => {
    const one = await corrected(first);
    expect(one?.find(({ expert }) => expert === fallen.expert)?.correction).toBeGreaterThan(0.05);
    await expect.poll(() => corrected(second), POLL).toEqual(await corrected(first));
  });

  it('is learned from on by the other when a router is killed', async () => {
    const { folded, leader } = await elected();
    expect(folded).toBeGreaterThan(0);
    const other = mesh.replicas.find((replica) => replica !== leader) ?? first;
    const before = await corrected(other);
    leader.process.child.kill('SIGKILL');
    await leader.process.ended;
    const seen = mesh.seen(steady.expert);
    await mesh.outcomes('fitted', steady, steady.after.slice(0, AT_ONCE));
    await expect.poll(() => mesh.seen(steady.expert), POLL).toBe(seen + AT_ONCE);
    expect(mesh.alarms).toHaveLength(1);
    const fallenOf = (list: typeof before) =>
      list?.find(({ expert }) => expert === fallen.expert)?.correction;
    expect(fallenOf(await corrected(other))).toBe(fallenOf(before));
  });
});

/** The replica that has folded outcomes in, and how many. */
async function elected() {
  const counts = await Promise.all(
    mesh.replicas.map(async (leader) => {
      const found = /^thalamus_router_outcomes_total\{thalamus_outcome="folded"\} (\d+)$/m.exec(
        await leader.metrics(),
      );
      return { leader, folded: Number(found?.[1] ?? 0) };
    }),
  );
  return counts.reduce((most, count) => (count.folded > most.folded ? count : most));
}
