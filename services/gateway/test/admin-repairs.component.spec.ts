import { importBundle } from '@thalamus/bundle';
import { artifactV1, JOB_ARTIFACTS, jobV1, registryV1, releaseV1 } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { RemoteArtifactStore } from '@thalamus/registry';
import { waitUntil, writePicoBase, writePicoLowRank } from '@thalamus/testing';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminAnswers } from '../src/adapters/http/admin-schemas.js';
import { GatewayUnderTest, ROLE_KEYS } from './support/gateway-under-test.js';

const folder = mkdtempSync(join(tmpdir(), 'thalamus-admin-repairs-'));
const LABELS = ['card', 'law'];

let gateway: GatewayUnderTest;
let clients: ReturnType<typeof clientsOf>;
let store: RemoteArtifactStore;
let base: `sha256:${string}`;

function clientsOf(address: string) {
  const options = { address, defaultDeadlineMs: 10_000 };
  return {
    release: createClient(releaseV1.ReleaseService, options),
    registry: createClient(registryV1.RegistryService, options),
    jobs: createClient(jobV1.JobService, options),
    artifacts: createClient(artifactV1.ArtifactService, options),
  };
}

/** Stores a version of the expert `intents`; resolves with the digest of its manifest. */
async function bundle(version: string): Promise<string> {
  const path = join(folder, `v${version}`);
  const name = { name: 'intents', version, seed: Number(version) };
  await writePicoLowRank(path, name, LABELS, { name: 'pico-base', digest: base }, { rank: 2, alpha: 2 });
  return (await importBundle(path, store)).digest;
}

/** Stores answers to 50 items of which the first ones are wrong. */
async function answers(wrong: number): Promise<string> {
  const line = (_: unknown, id: number) =>
    JSON.stringify({ id: String(id), label: 'card', prediction: id < wrong ? 'law' : 'card' });
  return (await store.put(Buffer.from(Array.from({ length: 50 }, line).join('\n')))).digest;
}

beforeAll(async () => {
  gateway = await GatewayUnderTest.start({}, { updater: true });
  clients = clientsOf(gateway.updaterAddress);
  store = new RemoteArtifactStore(clients.artifacts);
  const path = join(folder, 'base');
  base = (await writePicoBase(path, { name: 'pico-base' })).digest;
  await importBundle(path, store);
  for (const manifestDigest of [base, await bundle('1'), await bundle('2')])
    await clients.registry.registerVersion({ version: { manifestDigest } });
  const { digest } = await store.put(Buffer.from('text,label\n'));
  const dataset = { name: 'rows', version: '1', digest, licence: 'CC0-1.0', split: 'train' };
  await clients.registry.registerDataset({ dataset });
});
afterAll(async () => {
  for (const client of Object.values(clients)) client.close();
  await gateway.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Who = Parameters<GatewayUnderTest['admin']>[3];
const repair = (id: string, body: object, who: Who = 'operator') =>
  gateway.admin('POST', `/admin/v1/releases/${id}/repair`, { ...body }, who);
const find = async (id: string) =>
  adminAnswers.release.parse((await gateway.admin('GET', `/admin/v1/releases/${id}`)).body);
const errorOf = ({ body }: { readonly body: Record<string, unknown> }) =>
  body['error'] as { readonly code: string; readonly message: string } | undefined;

describe('the repair of a release over HTTP', () => {
  it('is for operators; the release says which job it waits for, and then goes by what that made', async () => {
    const digests = { oldDigest: await answers(0), newDigest: await answers(20) };
    const { release } = await clients.release.start({ expert: 'intents', toVersion: '2', ...digests });
    const id = release?.id ?? '';
    expect((await find(id)).repair).toBeNull();
    const wanted = { dataset: 'rows@1', parameters: { seed: 4 } };
    expect(errorOf(await repair(id, wanted, 'viewer'))?.code).toBe('PERMISSION_DENIED');
    expect(errorOf(await repair(id, wanted, 'acmeOperator'))?.code).toBe('PERMISSION_DENIED');
    const asked = adminAnswers.release.parse((await repair(id, wanted)).body);
    expect(asked).toMatchObject({
      ...{ id, state: 'compared', stopped: '', toVersion: '2' },
      repair: { by: ROLE_KEYS.operator.minted.id, ended: false, replacedVersion: '2' },
    });
    const { job = '', parameters } = asked.repair ?? {};
    expect(parameters).toMatchObject({ from: 'intents@1', to: 'intents@2', dataset: 'rows@1', seed: 4 });
    const other = errorOf(await repair(id, { dataset: 'rows@1' }));
    expect(other).toMatchObject({ code: 'RELEASE_CONFLICT' });
    expect(other?.message).toContain(`by job ${job}`);

    const claim = { worker: 'w', kinds: ['repair'], leaseMs: 60_000 };
    const { token } = await clients.jobs.claim(claim);
    const [made, old, repaired] = [await bundle('3'), await answers(0), await answers(1)];
    const outputs = [
      { name: JOB_ARTIFACTS.bundle, digest: made },
      { name: JOB_ARTIFACTS.oldPredictions, digest: old },
      { name: JOB_ARTIFACTS.predictions, digest: repaired },
    ];
    const result = { verdict: 'repaired', reason: 'Judged.' };
    await clients.jobs.finish({ id: job, token, state: jobV1.JobState.SUCCEEDED, outputs, result });
    await waitUntil('it is taken', async () => (await find(id)).state === 'repaired');
    const after = await find(id);
    expect(after).toMatchObject({ toVersion: '3', repair: { job, ended: true, replacedVersion: '2' } });
    // What flipped is what flips now; whoever asks for the version before is told of this release.
    const flips = await gateway.admin('GET', `/admin/v1/releases/${id}/flips`);
    expect(adminAnswers.flips.parse(flips.body)).toMatchObject({
      total: 1,
      digest: after.history.at(-1)?.evidence.at(-1),
    });
    for (const version of ['2', '3']) {
      const verdict = await gateway.admin('GET', `/admin/v1/experts/intents/versions/${version}/verdict`);
      expect(adminAnswers.verdict.parse(verdict.body)).toMatchObject({
        release: id,
        state: 'repaired',
        to: '3',
      });
    }
    expect(errorOf(await repair(id, wanted))?.message).toContain('it was repaired already');
  });

  it.each([
    ['no data set', {}, 'REQUEST_INVALID'],
    ['a field that nobody knows', { dataset: 'rows@1', method: 'muscle' }, 'REQUEST_INVALID'],
    ['parameters that are no object', { dataset: 'rows@1', parameters: [1] }, 'REQUEST_INVALID'],
    ['a release that there is not', { dataset: 'rows@1' }, 'RESOURCE_NOT_FOUND'],
  ])('is refused with %s', async (_, body, code) => {
    expect(errorOf(await repair('none', body))?.code).toBe(code);
  });
});
