import type { eventsV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { waitUntil } from '@thalamus/testing';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type GatewayUnderTest } from './support/gateway-under-test.js';
import { ReleasedExpert, scored, type Seen } from './support/released-expert.js';
import { useGateway } from './support/use-gateway.js';

let gateway: GatewayUnderTest;
useGateway(
  (started) => {
    gateway = started;
  },
  { THALAMUS_MIRROR_PER_SECOND: '100000', THALAMUS_MIRROR_TIMEOUT_MS: '60000' },
);

let live: ReleasedExpert | undefined;
afterEach(async () => {
  await live?.release({ state: 'ROLLED_BACK' });
});

/** An expert whose second version is in shadow. */
async function shadowed(name: string, options?: Parameters<typeof ReleasedExpert.make>[2]) {
  live = await ReleasedExpert.make(gateway, name, options);
  await live.release({ state: 'SHADOW', weight: 0, mirrorShare: 1 });
  return live;
}
const comparisons = (expert: ReleasedExpert) =>
  gateway.compared.filter((item) => item.expert === expert.name);
const comparison = (expert: ReleasedExpert): Promise<eventsV1.ShadowCompared> =>
  waitUntil(`a comparison of ${expert.name} is told`, () => comparisons(expert)[0]);
const askedVersions = () => gateway.host.requests.map(({ modelVersion }) => modelVersion);

describe('a shadow', () => {
  it('answers after the stable version, and only the comparison is heard of it', async () => {
    const expert = await shadowed('quiet');
    const seen = await expert.ask('talk');
    expect(seen).toMatchObject({ status: 200, version: '1', channel: 'stable' });
    const told = await comparison(expert);
    expect(told).toMatchObject({
      ...{ requestId: seen.requestId, tenant: 'acme', releaseId: 'quiet-release', expert: 'quiet' },
      ...{ stableVersion: '1', candidateVersion: '2', agree: true, candidateErrorCode: '' },
      ...{ stableLabel: 'card_lost', candidateLabel: 'card_lost' },
    });
    expect(told.stableMs).toBeGreaterThan(0);
    expect(told.candidateMs).toBeGreaterThan(0);
    expect(told.comparedAt).toBeDefined();
    expect(askedVersions()).toEqual(['1', '2']);
    expect(gateway.completed.filter(({ requestId }) => requestId === seen.requestId)).toHaveLength(1);
  });

  it('that says something else differs, with both labels', async () => {
    gateway.host.answer = (request) =>
      Promise.resolve(scored(request, request.modelVersion === '2' ? [0.9, 0.1] : [0.2, 0.8]));
    const expert = await shadowed('differing');
    await expert.ask();
    expect(await comparison(expert)).toMatchObject({
      ...{ agree: false, stableLabel: 'card_lost', candidateLabel: 'other', candidateErrorCode: '' },
    });
  });

  it('that fails is told with the code, and asked once', async () => {
    const expert = await shadowed('crashing');
    gateway.host.answer = (request) =>
      request.modelVersion === '2'
        ? Promise.reject(new ThalamusError('EXPERT_CRASHED', 'Gone.'))
        : Promise.resolve(scored(request, [0.2, 0.8]));
    expect(await expert.ask()).toMatchObject({ status: 200, version: '1' });
    expect(await comparison(expert)).toMatchObject({
      ...{ agree: false, stableLabel: 'card_lost', candidateLabel: '', candidateErrorCode: 'EXPERT_CRASHED' },
    });
    expect(askedVersions()).toEqual(['1', '2']);
  });

  it('embeds and infers tensors too', async () => {
    const embedding = await shadowed('embedding', { task: 'feature-extraction' });
    const vector = (values: readonly number[]) => ({
      outputs: [{ name: 'embedding', datatype: 'FP32', shape: [1n, 2n] }],
      rawOutputContents: [new Uint8Array(Float32Array.from(values).buffer)],
    });
    gateway.host.answer = ({ modelVersion }) =>
      Promise.resolve(vector(modelVersion === '2' ? [0, 1] : [1, 0]));
    await gateway.post('/v1/embeddings', { model: 'embedding', input: 'x' });
    expect(await comparison(embedding)).toMatchObject({
      agree: false,
      stableLabel: '',
      candidateErrorCode: '',
    });
    await embedding.release({ state: 'ROLLED_BACK' });

    const tensors = await shadowed('tensors', { task: 'fill-mask' });
    gateway.host.answer = ({ modelVersion }) => {
      const { outputs, rawOutputContents } = vector(modelVersion === '2' ? [1, 9] : [3, 4]);
      return Promise.resolve({ outputs: [{ ...outputs[0]!, name: 'logits' }], rawOutputContents });
    };
    const inputs = [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['x'] }];
    expect((await gateway.post('/v2/models/tensors/infer', { inputs })).status).toBe(200);
    expect(await comparison(tensors)).toMatchObject({ agree: true, stableLabel: '', candidateLabel: '' });
  });

  it('hears nothing of requests to pinned versions, nor once its lease has lapsed', async () => {
    const expert = await shadowed('deaf');
    await expert.ask('talk', { model: 'deaf@1' });
    await expert.release({ state: 'SHADOW', mirrorShare: 1, leaseMs: -1 });
    await expert.ask();
    await expert.release({ state: 'SHADOW', mirrorShare: 1 });
    const heard = await expert.ask();
    expect((await comparison(expert)).requestId).toBe(heard.requestId);
    expect(askedVersions()).toEqual(['1', '1', '1', '2']);
  });

  it('that does not answer costs callers nothing, and no more of them wait for it than the queue holds', async () => {
    const expert = await shadowed('stuck');
    let answer: () => void = () => undefined;
    const isThere = new Promise<void>((resolve) => {
      answer = resolve;
    });
    gateway.host.answer = async (request) => {
      if (request.modelVersion === '2') await isThere;
      return scored(request, [0.2, 0.8]);
    };
    const shadows = () => askedVersions().filter((version) => version === '2').length;
    for (let count = 0; count < 50; count++) expect(await expert.ask()).toMatchObject({ status: 200 });
    expect(shadows()).toBe(2);
    answer();
    await waitUntil('all that waited are compared', () => comparisons(expert).length >= 34);
    await expert.ask();
    await waitUntil('the next one is compared', () => comparisons(expert).length > 34);
    expect(shadows()).toBe(35);
  });

  it('leaves no text of a prompt in any event', async () => {
    const secret = 'canary-shadow-51c0';
    const expert = await shadowed('secretive');
    gateway.host.answer = (request) =>
      request.modelVersion === '2'
        ? Promise.reject(new ThalamusError('INFERENCE_FAILED', `Cannot read ${secret}.`))
        : Promise.resolve(scored(request, [0.2, 0.8]));
    await gateway.post('/v1/classifications', { model: 'secretive', input: secret });
    await comparison(expert);
    const log = await readFile(join(gateway.folder, 'events.sqlite'));
    const recent = await readFile(join(gateway.folder, 'events.sqlite-wal')).catch(() => Buffer.alloc(0));
    expect(Buffer.concat([log, recent]).includes('secretive-release')).toBe(true);
    expect(Buffer.concat([log, recent]).includes(secret)).toBe(false);
  });
});

describe('a canary', () => {
  it('mirrors what its stable part answers, and nothing of the candidate', async () => {
    live = await ReleasedExpert.make(gateway, 'partly');
    await live.release({ weight: 0.5, mirrorShare: 1 });
    const expert = live;
    const seen: Seen[] = [];
    for (let index = 0; index < 20; index++) seen.push(await expert.ask(`talk-${index}`));
    const stable = seen.filter(({ version }) => version === '1').map(({ requestId }) => requestId);
    expect(stable.length).toBeGreaterThan(0);
    await waitUntil('all are compared', () => comparisons(expert).length >= stable.length);
    expect(
      comparisons(expert)
        .map(({ requestId }) => requestId)
        .sort(),
    ).toEqual(stable.sort());
  });
});
