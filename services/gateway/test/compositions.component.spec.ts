import { ThalamusError } from '@thalamus/errors';
import { waitUntil } from '@thalamus/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answers } from '../src/adapters/http/answer-schemas.js';
import { ComposerThatMakes, digestOf, nameOf } from './support/composer-that-makes.js';
import { decision } from './support/fake-services.js';
import { KEYS, type GatewayUnderTest } from './support/gateway-under-test.js';
import { errorOf, useGateway } from './support/use-gateway.js';

/** How long failures are remembered here, milliseconds: every test begins without any. */
const FAILURE_MS = 400;

let gateway: GatewayUnderTest;
useGateway(
  (started) => {
    gateway = started;
  },
  { THALAMUS_COMPOSE_FAILURE_MS: String(FAILURE_MS) },
);

/** Each test composes versions of its own. */
let version = 100;
let parents: readonly [string, string];
let asked: string;
beforeEach(async () => {
  version += 1;
  const number = String(version);
  const task = 'text-classification';
  for (const expert of ['banking', 'clinic']) {
    const value = { expert, version: number, task, licence: 'Apache-2.0', labelCount: 2 };
    await gateway.register(`version/${expert}@${number}`, { case: 'version', value });
    await gateway.reside(expert, number);
  }
  parents = [`banking@${number}`, `clinic@${number}`];
  asked = `compose:${parents.join('+')}`;
  await waitUntil('the gateway knows the parents', async () => {
    const named = await Promise.all(
      parents.map((model) => gateway.post('/v1/classifications', { input: 'x', model })),
    );
    return named.every(({ ok }) => ok);
  });
  gateway.host.reset();
});

let composer: ComposerThatMakes | undefined;
afterEach(() => composer?.release());

const swapped = () => `compose:${[...parents].reverse().join('+')}`;
const ask = async (model: string, init: { timeoutMs?: number; key?: string; signal?: AbortSignal } = {}) => {
  const { timeoutMs, ...rest } = init;
  const headers = timeoutMs === undefined ? {} : { 'x-request-timeout-ms': String(timeoutMs) };
  const response = await gateway.post(
    '/v1/classifications',
    { input: 'I lost my card', model },
    {
      ...rest,
      headers,
    },
  );
  return response;
};
const said = async (response: Response) => {
  const body = answers.classifications.parse(await response.json());
  return { ...body.thalamus?.composition, expert: body.data[0]?.expert };
};
const builds = () => gateway.composer.builds.filter(({ recipe }) => nameOf(recipe) === asked);

describe('compose:a+b', () => {
  it('is built when there is time, found after that, and is the same with its names swapped', async () => {
    composer = new ComposerThatMakes(gateway);
    const first = await ask(swapped());
    expect(first.status).toBe(200);
    expect(first.headers.get('x-thalamus-composition')).toBe(`${asked}; answered=composition; reason=built`);
    const made = await said(first);
    expect(made).toMatchObject({ model: asked, answered: 'composition', reason: 'built' });
    expect(made.expert).toMatch(/^twin-/);
    expect(first.headers.get('x-thalamus-expert')).toBe(made.expert);
    expect(first.headers.get('x-thalamus-decision')).toBeNull();
    for (const model of [asked, swapped()])
      expect(await said(await ask(model))).toEqual({ ...made, reason: 'found' });
    expect(builds()).toHaveLength(1);
    expect(builds()[0]).toMatchObject({ dryRun: false, timeToLiveS: 86_400n, recipe: { method: 'twin' } });
    expect(gateway.router.requests).toEqual([]);
    // The expert gets the text, nobody else does.
    expect(JSON.stringify(gateway.composer.builds, bigints)).not.toContain('lost my card');
  });

  it('is the stable versions when none are named', async () => {
    composer = new ComposerThatMakes(gateway);
    const answer = await said(await ask('compose:clinic+banking'));
    expect(answer).toMatchObject({ model: 'compose:banking@2+clinic@1', answered: 'composition' });
  });

  it('is routed among the parents while it is built, and built for those who come later', async () => {
    composer = new ComposerThatMakes(gateway, { isHeld: true });
    const first = await ask(asked, { timeoutMs: 600 });
    const held = composer;
    expect(await said(first.clone())).toEqual({
      model: asked,
      answered: 'parents',
      reason: 'building',
      expert: 'banking',
    });
    expect(first.headers.get('x-thalamus-composition')).toBe(`${asked}; answered=parents; reason=building`);
    expect(first.headers.get('x-thalamus-version')).toBe(String(version));
    expect(first.headers.get('x-thalamus-decision')).toContain('test-router@3');
    expect(gateway.router.requests).toHaveLength(1);
    expect(gateway.router.requests[0]?.experts).toEqual(['banking', 'clinic']);
    await waitUntil('a build has begun', () => held.waiting > 0);
    held.release();
    await waitUntil('the composition answers', async () => (await said(await ask(asked))).reason === 'found');
    expect(builds()).toHaveLength(1);
  });

  it('is built once however many ask, and each of them gets it', async () => {
    composer = new ComposerThatMakes(gateway, { isHeld: true });
    const requests = Array.from({ length: 20 }, (_, index) => ask(index % 2 === 0 ? asked : swapped()));
    await waitUntil('a build has begun', () => (composer?.waiting ?? 0) > 0);
    composer.release();
    const all = await Promise.all((await Promise.all(requests)).map(said));
    expect(all.every(({ answered }) => answered === 'composition')).toBe(true);
    expect(new Set(all.map(({ expert }) => expert)).size).toBe(1);
    expect(builds()).toHaveLength(1);
    expect(gateway.composer.checks).toHaveLength(1);
  });

  it('goes on when whoever asked has gone', async () => {
    composer = new ComposerThatMakes(gateway, { isHeld: true });
    const leaver = new AbortController();
    const gone = ask(asked, { signal: leaver.signal }).catch((fault: unknown) => fault);
    await waitUntil('a build has begun', () => (composer?.waiting ?? 0) > 0);
    leaver.abort();
    expect(await gone).toBeInstanceOf(Error);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(gateway.composer.cancelled).toBe(0);
    composer.release();
    expect(await said(await ask(asked))).toMatchObject({ answered: 'composition' });
    expect(builds()).toHaveLength(1);
  });

  it('decides once for all texts of a request', async () => {
    composer = new ComposerThatMakes(gateway);
    const response = await gateway.post('/v1/classifications', {
      input: ['one', 'two', 'three'],
      model: asked,
    });
    const body = answers.classifications.parse(await response.json());
    expect(new Set(body.data.map(({ expert }) => expert)).size).toBe(1);
    expect(body.thalamus?.composition).toMatchObject({ answered: 'composition', reason: 'built' });
    expect(builds()).toHaveLength(1);
  });

  describe('when it cannot be had now', () => {
    it('is routed among the parents when the composer is away, at once', async () => {
      const startedAt = performance.now();
      expect(await said(await ask(asked))).toMatchObject({ answered: 'parents', reason: 'unavailable' });
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    });

    it('is found without the composer when it is registered', async () => {
      composer = new ComposerThatMakes(gateway);
      const recipe = {
        parents: parents.map((parent) => ({ expert: parent.split('@')[0], version: parent.split('@')[1] })),
      };
      const { expert } = await composer.register(recipe as never);
      gateway.composer.reset();
      await waitUntil('it is found', async () => (await said(await ask(asked))).expert === expert);
    });

    it('does not begin a failed build again and again, and tries it later', async () => {
      composer = new ComposerThatMakes(gateway);
      const { make } = gateway.composer;
      gateway.composer.make = () => Promise.reject(new ThalamusError('INTERNAL', 'broken'));
      for (let request = 0; request < 5; request++)
        expect(await said(await ask(asked))).toMatchObject({ answered: 'parents', reason: 'failed' });
      expect(builds()).toHaveLength(1);
      gateway.composer.make = make;
      await waitUntil('it is built after all', async () => (await said(await ask(asked))).reason === 'built');
    });

    it('is routed among the parents while no host has it', async () => {
      composer = new ComposerThatMakes(gateway, { isServed: false });
      expect(await said(await ask(asked, { timeoutMs: 1_000 }))).toMatchObject({
        answered: 'parents',
        reason: 'loading',
      });
    });

    it('is routed among the parents when the host has let it go in the meantime', async () => {
      composer = new ComposerThatMakes(gateway);
      const { expert = '' } = await said(await ask(asked));
      const { answer } = gateway.host;
      gateway.host.answer = (request, context) =>
        request.modelName === expert
          ? Promise.reject(new ThalamusError('EXPERT_NOT_FOUND', 'gone'))
          : answer(request, context);
      expect(await said(await ask(asked))).toMatchObject({
        answered: 'parents',
        reason: 'loading',
        expert: 'banking',
      });
    });

    it('asks the nearest parent where the router would abstain, and says when it knows none of them', async () => {
      const answer = (extra: Parameters<typeof decision>[0]) => () =>
        Promise.resolve({ decision: decision({ abstained: true, ...extra }), strippedPrompt: 'x' });
      gateway.router.answer = answer({});
      const nearest = await ask(asked);
      expect(nearest.headers.get('x-thalamus-decision')).toContain('; abstained');
      expect(await said(nearest)).toMatchObject({ answered: 'parents', expert: 'banking' });
      gateway.router.answer = answer({ ranked: [], reason: 'No expert has a head.' });
      const refused = await errorOf(await ask(asked));
      expect(refused).toMatchObject({ status: 503, code: 'EXPERT_NOT_READY' });
      expect(refused['message']).toContain('No expert has a head.');
    });
  });

  describe('that cannot be made', () => {
    it.each([
      ['compose:banking', 400, 'REQUEST_INVALID', 'names one parent, banking'],
      ['compose:banking+banking@1', 400, 'REQUEST_INVALID', 'names banking twice'],
      ['compose:banking+', 400, 'REQUEST_INVALID', 'the parent ""'],
      ['compose:banking+Clinic', 400, 'REQUEST_INVALID', 'the parent "Clinic"'],
      ['compose:banking+base', 400, 'REQUEST_INVALID', 'base serves feature-extraction'],
      ['compose:banking+nobody', 404, 'EXPERT_NOT_FOUND', '"nobody"'],
      ['compose:banking@99+clinic', 404, 'EXPERT_NOT_FOUND', 'banking has no version 99'],
      ['compose:banking+private', 404, 'EXPERT_NOT_FOUND', '"private"'],
    ])('%s is %i', async (model, status, code, says) => {
      composer = new ComposerThatMakes(gateway);
      const refused = await errorOf(await ask(model));
      expect(refused).toMatchObject({ status, code, param: 'model' });
      expect(refused['message']).toContain(says);
      expect(gateway.composer.checks).toEqual([]);
      expect(gateway.host.requests).toEqual([]);
    });

    it('says which parent the policy does not allow', async () => {
      const refused = await errorOf(await ask('compose:banking+clinic', { key: KEYS.strict.key }));
      expect(refused).toMatchObject({ status: 403, code: 'PERMISSION_DENIED' });
      expect(refused['message']).toContain('clinic');
      expect(gateway.composer.checks).toEqual([]);
    });

    it('names the parent and what stands in the way, and asks the composer once', async () => {
      const obstacle = { kind: 'base', parent: parents[1], description: 'stands on another base.' };
      gateway.composer.check = ({ recipe }) =>
        Promise.resolve({ recipeDigest: digestOf(recipe), obstacles: [obstacle] });
      for (let request = 0; request < 3; request++) {
        const refused = await errorOf(await ask(asked));
        expect(refused).toMatchObject({ status: 409, code: 'COMPOSITION_REFUSED' });
        expect(refused['message']).toBe(
          `These experts cannot be composed: ${parents[1]} stands on another base.`,
        );
      }
      expect(gateway.composer.checks).toHaveLength(1);
      expect(gateway.composer.builds).toEqual([]);
      expect(gateway.host.requests).toEqual([]);
    });

    it('says what the composer found when it made it, to all who wait and who come soon after', async () => {
      composer = new ComposerThatMakes(gateway);
      gateway.composer.make = () =>
        Promise.reject(new ThalamusError('COMPOSITION_REFUSED', 'The parity check failed for clinic.'));
      for (const response of await Promise.all([ask(asked), ask(asked), ask(asked)]))
        expect(await errorOf(response)).toMatchObject({
          status: 409,
          message: 'The parity check failed for clinic.',
        });
      expect((await ask(asked)).status).toBe(409);
      expect(builds()).toHaveLength(1);
    });
  });
});

const bigints = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
