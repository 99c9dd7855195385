import { readSigningKey, signDigest } from '@thalamus/bundle';
import { linearGraph, writePicoBase, writePicoGraph, writePicoProbe } from '@thalamus/testing';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Host, Registry } from './host-harness.js';

let registry: Registry;
let host: Host;

beforeAll(async () => {
  registry = await Registry.open();
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const [pem, pub] = [`${registry.folder}/ours.pem`, `${registry.folder}/ours.pub`];
  writeFileSync(pem, privateKey.export({ format: 'pem', type: 'pkcs8' }));
  writeFileSync(pub, publicKey.export({ format: 'pem', type: 'spki' }));
  const { key, keyId } = readSigningKey(pem);
  const sign = (digest: Parameters<typeof signDigest>[0]) => ({
    keyId,
    value: signDigest(digest, key, keyId).value,
  });
  const base = await writePicoBase(registry.path('base'), { name: 'base' });
  const loose = await writePicoBase(registry.path('loose'), { name: 'loose', seed: 2 });
  await registry.add('base', 'stable', [sign(base.digest)]);
  await registry.add('loose');
  for (const [name, { digest }] of [
    ['over-base', base],
    ['over-loose', loose],
  ] as const) {
    const made = await writePicoProbe(registry.path(name), { name }, ['a', 'b'], {
      name: name.slice(5),
      digest,
    });
    await registry.add(name, 'stable', [sign(made.digest)]);
  }
  const linear = await writePicoGraph(registry.path('linear'), { name: 'linear' }, linearGraph());
  await registry.add('linear', 'stable', [sign(linear.digest)]);
  await writePicoGraph(registry.path('other'), { name: 'other', version: '1' }, linearGraph());
  await registry.add('other', 'stable', [sign(linear.digest)]);
  host = await Host.start(registry, { THALAMUS_SIGNATURES: 'required', THALAMUS_TRUSTED_KEYS: pub });
});
afterAll(async () => {
  await host.stop();
  await registry.close();
});

it.each(['base', 'over-base', 'linear'])('opens what a trusted key signed: %s', async (name) => {
  await host.until(name, '1', 'ready');
});

it.each([
  ['an unsigned base', 'loose'],
  ['a signed expert over it', 'over-loose'],
  ['a graph with the signature of another', 'other'],
])('does not open %s', async (_, name) => {
  await host.until(name, '1', 'failed');
  expect(await registry.residencyError(name)).toBe('SIGNATURE_REFUSED');
});
