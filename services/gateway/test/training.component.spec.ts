import { FolderArtifactStore, importBundle, openBundle, writeBundle } from '@thalamus/bundle';
import { registryV1, RPC_METADATA } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { waitUntil, writePicoBase } from '@thalamus/testing';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminAnswers } from '../src/adapters/http/admin-schemas.js';
import { GatewayUnderTest } from './support/gateway-under-test.js';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start({}, { updater: true });
});
afterAll(() => gateway.stop());

/** Registers a version whose bundle holds these further files. */
async function register(name: string, files: Readonly<Record<string, string>>): Promise<void> {
  const folder = join(gateway.folder, name);
  await writePicoBase(folder, { name });
  const { manifest, readFile } = await openBundle(folder);
  const { files: listed, ...rest } = manifest;
  const all: Record<string, Uint8Array> = {};
  for (const { path } of listed) all[path] = await readFile(path);
  for (const [path, text] of Object.entries(files)) all[path] = new TextEncoder().encode(text);
  const { digest } = await writeBundle(folder, rest, all);
  await importBundle(folder, new FolderArtifactStore(join(gateway.folder, 'artifacts')));
  const registry = createClient(registryV1.RegistryService, {
    address: gateway.updaterAddress,
    defaultDeadlineMs: 10_000,
  });
  const version = { expert: name, version: '1', manifestDigest: digest };
  await registry.registerVersion(
    { version, description: 'An encoder for tests.' },
    { metadata: { [RPC_METADATA.actor]: 'test' } },
  );
  registry.close();
  await waitUntil('the version is known', async () => (await training(name)).status !== 404);
}

const training = (name: string, version = '1') =>
  gateway.admin('GET', `/admin/v1/experts/${name}/versions/${version}/training`, undefined, 'viewer');

describe('the training of a version', () => {
  it('is the losses of the log in its bundle', async () => {
    const lines = [
      { kind: 'step', step: 1, totalSteps: 2, epoch: 0, loss: 1.5, rate: 0.1, gradientNorm: 1, tokens: 9 },
      { kind: 'validation', step: 1, best: true, score: [-1.2], figures: { accuracy: 0.5, logLoss: 1.2 } },
      { kind: 'step', step: 2, totalSteps: 2, epoch: 0, loss: 1.25, rate: 0, gradientNorm: 1, tokens: 9 },
    ];
    await register('logged', { 'training.jsonl': lines.map((row) => `${JSON.stringify(row)}\n`).join('') });
    const { status, body } = await training('logged');
    expect(status).toBe(200);
    expect(adminAnswers.training.parse(body)).toEqual({
      object: 'training',
      expert: 'logged',
      version: '1',
      training: [
        { step: 1, loss: 1.5 },
        { step: 2, loss: 1.25 },
      ],
      validation: [{ step: 1, loss: 1.2 }],
    });
  });

  it('is empty where the bundle holds no log, and refused where the log is damaged', async () => {
    await register('silent', {});
    expect((await training('silent')).body).toMatchObject({ training: [], validation: [] });
    await register('damaged', { 'training.jsonl': '{"kind":"step","step":1}\n' });
    const { body } = await training('damaged');
    expect(body).toMatchObject({ error: { code: 'BUNDLE_INVALID' } });
  });

  it.each([
    ['nothing', '1'],
    ['private', '1'],
    ['banking', '99'],
  ])('of %s@%s is 404: it is not there for the caller', async (name, version) => {
    const { status, body } = await training(name, version);
    expect(status).toBe(404);
    expect(body).toMatchObject({ error: { code: 'EXPERT_NOT_FOUND' } });
  });
});
