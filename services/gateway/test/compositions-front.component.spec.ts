import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { RPC_METADATA } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { waitUntil } from '@thalamus/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ComposerThatMakes } from './support/composer-that-makes.js';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';
import { errorOf, useGateway } from './support/use-gateway.js';

const NAME = 'compose:banking@2+clinic@1';
const metadata = { [RPC_METADATA.authorization]: `Bearer ${KEYS.acme.key}` };
const textInput = (...texts: string[]) => [
  {
    name: 'text',
    datatype: 'BYTES',
    shape: [BigInt(texts.length)],
    contents: { bytesContents: texts.map((text) => new TextEncoder().encode(text)) },
  },
];

describe('compositions by other protocols', () => {
  let gateway: GatewayUnderTest;
  let oip: ReturnType<GatewayUnderTest['oip']>;
  let composer: ComposerThatMakes;
  beforeAll(async () => {
    gateway = await GatewayUnderTest.start();
    oip = gateway.oip();
    composer = new ComposerThatMakes(gateway, { isHeld: true });
  });
  afterEach(() => {
    gateway.router.reset();
    gateway.host.reset();
  });
  afterAll(async () => {
    composer.release();
    oip.close();
    await gateway.stop();
  });

  const infer = (modelName: string, more: object = {}) =>
    oip.modelInfer({ id: 'o-1', modelName, inputs: textInput('a', 'b'), ...more }, { metadata });
  const overHttp = async (model: string, timeoutMs: number) => {
    const response = await gateway.post(
      `/v2/models/${model}/infer`,
      { inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['a'] }] },
      { headers: { 'x-request-timeout-ms': String(timeoutMs) } },
    );
    return (await response.json()) as {
      model_name: string;
      parameters: { composition: string };
      outputs: { name: string; data: string[] }[];
    };
  };
  const expertOf = ({ outputs }: Awaited<ReturnType<typeof infer>>) =>
    outputs
      .find(({ name }) => name === 'expert')
      ?.contents?.bytesContents.map((value) => Buffer.from(value).toString());

  it('answers label, score and expert by OIP, made or not, and says in a parameter which', async () => {
    const timeout = { timeout: { parameterChoice: { case: 'int64Param' as const, value: 500_000n } } };
    const early = await infer('compose:clinic+banking', { parameters: timeout });
    expect(early.modelName).toBe('compose:clinic+banking');
    expect(early.outputs.map(({ name, shape }) => [name, shape])).toEqual([
      ['label', [2n]],
      ['score', [2n]],
      ['expert', [2n]],
    ]);
    expect(expertOf(early)).toEqual(['banking@2', 'banking@2']);
    expect(early.parameters['composition']?.parameterChoice).toEqual({
      case: 'stringParam',
      value: `${NAME}; answered=parents; reason=building`,
    });
    expect(gateway.router.requests.map(({ experts }) => experts)).toEqual([
      ['banking', 'clinic'],
      ['banking', 'clinic'],
    ]);
    expect(await overHttp('compose:banking+clinic', 300)).toMatchObject({
      model_name: 'compose:banking+clinic',
      parameters: { composition: `${NAME}; answered=parents; reason=building` },
    });
    await waitUntil('a build has begun', () => composer.waiting > 0);
    composer.release();
    const late = await infer('compose:clinic+banking');
    expect(late.parameters['composition']?.parameterChoice.value).toMatch(
      /answered=composition; reason=(built|found)$/,
    );
    expect(expertOf(late)).toEqual([expect.stringMatching(/^twin-/), expect.stringMatching(/^twin-/)]);
    const http = await overHttp('compose:banking@2+clinic', 5_000);
    expect(http.parameters.composition).toBe(`${NAME}; answered=composition; reason=found`);
    expect(http.outputs.find(({ name }) => name === 'expert')?.data).toEqual([expertOf(late)?.[0]]);
    expect(gateway.composer.builds).toHaveLength(1);
  });

  it('says what it takes, and is ready when its parents are there', async () => {
    const name = 'compose:banking+clinic';
    expect(await oip.modelReady({ name }, { metadata })).toMatchObject({ ready: true });
    const described = await oip.modelMetadata({ name }, { metadata });
    expect(described).toMatchObject({ name, platform: 'thalamus_composition' });
    expect(described.outputs.map((output) => output.name)).toEqual(['label', 'score', 'expert']);
    for (const call of [
      oip.modelReady({ name: 'compose:banking+nobody' }, { metadata }),
      oip.modelMetadata({ name: 'compose:banking+nobody' }, { metadata }),
    ])
      expect(toThalamusError(await call.catch((fault: unknown) => fault)).code).toBe('EXPERT_NOT_FOUND');
  });

  it.each([
    ['a version of its own', { modelVersion: '1' }, 'a composition has no versions'],
    [
      'an unknown parameter',
      { parameters: { colour: { parameterChoice: { case: 'boolParam' as const, value: true } } } },
      'is unknown to a composition',
    ],
    ['an unknown output', { outputs: [{ name: 'scores' }] }, 'is unknown to a composition'],
  ])('refuses %s', async (_what, more, says) => {
    const fault = toThalamusError(
      await infer('compose:banking+clinic', more).catch((error: unknown) => error),
    );
    expect(fault.code).toBe('REQUEST_INVALID');
    expect(fault.message).toContain(says);
  });

  it('is said by the typed front door, and ranked by /v1/route without being made', async () => {
    const client = gateway.gateway();
    const answer = await client.classify({ input: 'a', model: 'compose:clinic+banking' }, { metadata });
    expect(answer.composition).toMatchObject({ model: NAME, answered: 'composition', reason: 'found' });
    const built = gateway.composer.builds.length;
    await client.route({ input: 'a', model: 'compose:clinic+banking@1' }, { metadata });
    client.close();
    const ranked = await gateway.post('/v1/route', { input: 'a', model: 'compose:banking@1+clinic' });
    expect(ranked.status).toBe(200);
    expect(gateway.router.requests.map(({ experts }) => experts)).toEqual([
      ['banking', 'clinic'],
      ['banking', 'clinic'],
    ]);
    expect(gateway.composer.builds).toHaveLength(built);
    const one = await errorOf(await gateway.post('/v1/route', { input: 'a', model: 'banking' }));
    expect(one).toMatchObject({ status: 400, code: 'REQUEST_INVALID', param: 'model' });
  });

  it('is no way around tenants and policies', async () => {
    const made = await composer.register({
      parents: [
        { expert: 'banking', version: '2' },
        { expert: 'private', version: '1' },
      ],
    } as never);
    const named = (key: string) =>
      gateway.post('/v1/classifications', { input: 'a', model: made.expert }, { key });
    await waitUntil('whoever may use its parents may use it', async () => (await named(KEYS.globex.key)).ok);
    expect(await errorOf(await named(KEYS.acme.key))).toMatchObject({
      status: 404,
      code: 'EXPERT_NOT_FOUND',
    });
    const listed = async (key: string) => {
      const response = await gateway.fetch('/v1/models', { key });
      const { data } = (await response.json()) as { data: { id: string }[] };
      return data.map(({ id }) => id);
    };
    expect(await listed(KEYS.globex.key)).toContain(made.expert);
    expect(await listed(KEYS.acme.key)).not.toContain(made.expert);
  });

  it('answers for a policy that lists the parents, and not it', async () => {
    const policy = { tenant: 'globex', allowedExperts: ['banking', 'clinic'] };
    await gateway.register('policy/globex', { case: 'policy', value: policy });
    const { key } = KEYS.globex;
    await waitUntil('the policy holds', async () => {
      const response = await gateway.post('/v1/classifications', { input: 'a', model: 'private' }, { key });
      return response.status === 403;
    });
    const composed = await gateway.post('/v1/classifications', { input: 'a', model: NAME }, { key });
    expect(composed.headers.get('x-thalamus-composition')).toBe(
      `${NAME}; answered=composition; reason=found`,
    );
    const expert = composed.headers.get('x-thalamus-expert') ?? '';
    const named = await gateway.post('/v1/classifications', { input: 'a', model: expert }, { key });
    expect(named.status).toBe(403);
  });
});

describe('bounds of compositions', () => {
  let gateway: GatewayUnderTest;
  useGateway(
    (started) => {
      gateway = started;
    },
    {
      THALAMUS_COMPOSE_KEPT: '2',
      THALAMUS_COMPOSE_QUEUE: '0',
      THALAMUS_REQUEST_TIMEOUT_MS: '2000',
    },
  );
  let composer: ComposerThatMakes | undefined;
  afterEach(() => composer?.release());

  const reason = async (model: string) => {
    const response = await gateway.post('/v1/classifications', { input: 'a', model });
    expect(response.status).toBe(200);
    return response.headers.get('x-thalamus-composition')?.split('reason=')[1];
  };

  it('turns to the parents when as much is made as may be, and when as much is kept', async () => {
    composer = new ComposerThatMakes(gateway, { isHeld: true });
    expect(await reason('compose:banking+clinic')).toBe('building');
    expect(await reason('compose:banking@1+clinic')).toBe('busy');
    expect(gateway.composer.builds).toHaveLength(1);
    const expiresAt = timestampFromMs(Date.now() + 3_600_000);
    for (const name of ['twin-1', 'twin-2'])
      await gateway.register(`expert/${name}`, {
        case: 'expert',
        value: { name, task: 'text-classification', stable: '', expiresAt },
      });
    const held = composer;
    await waitUntil('a build has begun', () => held.waiting > 0);
    held.release();
    await waitUntil('no room is left', async () => (await reason('compose:banking@1+clinic')) === 'full');
    expect(gateway.composer.builds).toHaveLength(1);
  });
});
