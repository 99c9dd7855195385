import type { ThalamusError } from '@thalamus/errors';
import { importBundle } from '@thalamus/bundle';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RouterUnderTest, TASK, ZOO } from './support/router-under-test.js';

// Loading the encoder takes a while on a busy machine.
vi.setConfig({ testTimeout: 90_000 });

let router: RouterUnderTest;
beforeEach(async () => {
  router = await RouterUnderTest.prepare();
});
afterEach(() => router.stop());

const winner = async (prompt = 'x') =>
  (await router.client.route({ prompt, task: TASK })).decision?.ranked[0]?.expert;
const served = async () => (await router.client.listRouterModels({})).models.map(({ name }) => name);

describe('router models', () => {
  it('are swapped when the registry names another, and no prompt fails meanwhile', async () => {
    await router.expert('a');
    await router.expert('b');
    const first = await router.storeConstantRouter('first', { a: 0, b: 1 });
    const second = await router.storeConstantRouter('second', { a: 1, b: 0 });
    await router.activate('first', first);
    await router.start();
    expect(await winner()).toBe('a');
    const answers: (string | undefined)[] = [];
    const swap = { isDone: false };
    const load = (async () => {
      while (!swap.isDone) answers.push(await winner('asked all the while'));
    })();
    await router.activate('first', first, false);
    await router.activate('second', second);
    await expect.poll(served, { timeout: 60_000 }).toEqual(['second']);
    swap.isDone = true;
    await load;
    expect(await winner()).toBe('b');
    expect(answers.length).toBeGreaterThan(0);
    expect(new Set(answers)).not.toContain(undefined);
  });

  it('are swapped under a stream of prompts: every answer is wholly of one of them, in order, and none is lost', async () => {
    await router.expert('a');
    await router.expert('b');
    const first = await router.storeCountingRouter('first', ['a', 'b']);
    const second = await router.storeCountingRouter('second', ['b', 'a']);
    await router.activate('first', first);
    await router.start();
    const asked: string[] = [];
    const swap = { isDone: false };
    // eslint-disable-next-line @typescript-eslint/require-await -- what is asked comes without a wait
    async function* requests() {
      for (let at = 0; !swap.isDone || at % 64 !== 0; at++) {
        asked.push(`r${at}`);
        yield { request: { prompt: `${at} ${at}`, task: TASK, requestId: `r${at}` } };
      }
    }
    const answered: string[] = [];
    const winners = new Map<string, Set<string | undefined>>();
    const reading = (async () => {
      for await (const { requestId, result } of router.client.routeStream(requests(), {
        deadlineMs: 60_000,
      })) {
        answered.push(requestId);
        if (result.case !== 'response') throw new Error(`${requestId}: ${result.value?.message}`);
        const { routerModel = '', ranked = [] } = result.value.decision ?? {};
        winners.set(routerModel, (winners.get(routerModel) ?? new Set()).add(ranked[0]?.expert));
      }
    })();
    await expect.poll(() => winners.has('first'), { timeout: 60_000 }).toBe(true);
    await router.activate('first', first, false);
    await router.activate('second', second);
    await expect.poll(() => winners.has('second'), { timeout: 60_000 }).toBe(true);
    swap.isDone = true;
    await reading;
    expect(answered).toEqual(asked);
    // Prompts of digits: whom the first model sends them to, the second does not.
    expect(Object.fromEntries(winners)).toEqual({ first: new Set(['a']), second: new Set(['b']) });
  });

  it('refuse more prompts than may wait, and say when to come again', async () => {
    await router.expert('a');
    await router.expert('b');
    await router.activate('counting', await router.storeCountingRouter('counting'));
    await router.start({ THALAMUS_MAX_QUEUE: '1', THALAMUS_MAX_BATCH: '1' });
    // A text that is not ASCII alone goes to a thread of the tokenizer, so that others come meanwhile.
    const ask = (at: number) => router.client.route({ prompt: `prömpt ${at}`, task: TASK });
    const ends = await Promise.allSettled(Array.from({ length: 64 }, (_, at) => ask(at)));
    const refused = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as ThalamusError] : []));
    expect(ends.some(({ status }) => status === 'fulfilled')).toBe(true);
    expect(refused.length).toBeGreaterThan(0);
    for (const { code, retryAfterMs } of refused) {
      expect(code).toBe('EXPERT_OVERLOADED');
      expect(retryAfterMs).toBeGreaterThan(0);
    }
  });

  it('of a registry without one leave the service ready, and routing says what is missing', async () => {
    await router.start();
    expect(router.readiness()).toEqual({ ready: true, reasons: [] });
    await expect(winner()).rejects.toMatchObject({ code: 'ROUTER_MODEL_NOT_FOUND' });
  });

  it('that cannot be loaded make it not ready, say why, and are tried again', async () => {
    await router.expert('a');
    const digest = await router.storeConstantRouter('late', { a: 0 });
    await rm(join(router.folder, 'artifacts'), { recursive: true, force: true });
    await router.activate('late', digest);
    await router.start();
    expect(router.readiness().ready).toBe(false);
    expect(router.readiness().reasons.join()).toContain(`the router model for ${TASK} cannot be loaded`);
    await importBundle(join(ZOO, 'base', 'minilm-l6'), router.store);
    await importBundle(join(router.folder, 'written', 'late'), router.store);
    await expect.poll(() => router.readiness().ready, { timeout: 60_000 }).toBe(true);
    expect(await winner()).toBe('a');
  });

  it('that cannot be loaded leave an earlier one in place', async () => {
    await router.expert('a');
    const good = await router.storeConstantRouter('good', { a: 0 });
    await router.activate('good', good);
    await router.start();
    await router.activate('good', good, false);
    const revision = await router.activate('bad', `sha256:${'0'.repeat(64)}`);
    const answer = await router.client.route({ prompt: 'x', task: TASK, minRegistryRevision: revision });
    expect(answer.decision?.routerModel).toBe('good');
    expect(router.readiness().ready).toBe(true);
  });
});

describe('a calibrated router model', () => {
  it('decides by calibrated losses, and its intervals follow the region', async () => {
    await router.expert('a');
    await router.expert('b');
    const isotonic = (expert: string, values: number[]) => ({
      expert,
      kind: 'isotonic' as const,
      inputs: [0, 1],
      values,
    });
    const calibration = {
      coverage: 0.9,
      intervals: [
        { expert: 'a', lower: -0.1, upper: 0.2, scales: [2] },
        { expert: 'b', lower: -0.1, upper: 0.2 },
      ],
      recalibration: [isotonic('a', [0.5, 0.75]), isotonic('b', [0, 0.5])],
    };
    const losses = { a: 0.25, b: 0.5 };
    const digest = await router.storeConstantRouter('calibrated', losses, { calibration, regionCount: 1 });
    await router.activate('calibrated', digest);
    await router.start();
    const { decision } = await router.client.route({ prompt: 'x', task: TASK });
    expect(decision?.ranked.map(({ expert, predictedLoss }) => [expert, predictedLoss])).toEqual([
      ['b', 0.25],
      ['a', 0.5625],
    ]);
    expect(decision?.ranked.map(({ rawLoss }) => rawLoss)).toEqual([0.5, 0.25]);
    expect(decision?.ranked[0]?.lossHigh).toBeCloseTo(0.45, 12);
    expect(decision?.ranked[1]?.lossLow).toBeCloseTo(0.3625, 12);
    expect(decision?.ranked[1]?.lossHigh).toBeCloseTo(0.9625, 12);
  });
});

describe('a router model that reads no graph', () => {
  it('is served without the bundle of its encoder', async () => {
    await router.expert('a');
    await router.expert('b');
    // Nothing of the encoder is left in the store.
    await rm(join(router.folder, 'artifacts'), { recursive: true, force: true });
    await router.activate('counting', await router.storeCountingRouter('counting'));
    await router.start();
    expect(router.readiness()).toEqual({ ready: true, reasons: [] });
    expect(await winner('12345 67890')).toBe('a');
    expect(await winner('a word of advice')).toBe('b');
    const answer = await router.client.route({ prompt: 'seven', task: TASK });
    expect(answer.decision?.routerModel).toBe('counting');
    expect(answer.decision?.ranked.map(({ expert }) => expert).sort()).toEqual(['a', 'b']);
  });
});

describe('the router model of the zoo', () => {
  it('sends prompts where they belong and abstains from those that no expert knows', async () => {
    const zoo = await importBundle(join(ZOO, 'router', 'zoo-router'), router.store);
    for (const name of ['banking77', 'clinc150', 'cuad-clause20', 'scicite3', 'unfair-tos'])
      await router.expert(name);
    await router.activate('zoo-router', zoo.digest);
    await router.start();
    expect(await winner('Why was I charged a fee when I topped up by card?')).toBe('banking77');
    // Both tasks have an intent for it.
    expect(['banking77', 'clinc150']).toContain(await winner('I lost my card, please block it'));
    expect(await winner('This Agreement shall be governed by the laws of the State of New York')).toBe(
      'cuad-clause20',
    );
    const decide = async (prompt: string) => (await router.client.route({ prompt, task: TASK })).decision;
    for (const prompt of ['I lost my card, please block it', 'set an alarm for seven in the morning'])
      expect(await decide(prompt), prompt).toMatchObject({ abstained: false });
    for (const prompt of OUT_OF_SCOPE) {
      const decision = await decide(prompt);
      expect(decision, prompt).toMatchObject({ abstained: true });
      expect(decision?.reason).toMatch(
        /^No expert is known to fit: the out-of-scope score of the prompt is 0\.\d+, above/,
      );
      // The nearest ones are still told.
      expect(decision?.ranked.length).toBeGreaterThan(0);
    }
  });
});

/** Questions of everyday life that no task of the zoo covers. */
const OUT_OF_SCOPE = [
  'who won the world series in nineteen eighty six',
  'how tall is the tallest giraffe in the zoo of berlin',
  'which dragon guards the third castle in that video game',
];
