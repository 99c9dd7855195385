import { readSigningKey, signDigest, type Digest } from '@thalamus/bundle';
import { waitUntil } from '@thalamus/testing';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, RunningUpdater, temporaryFolder } from './running-updater.js';

/** Versions of an expert of this test's own, with labels that need no base. */
const named = (name: string, version = '1') => ({ name, version });

describe('an updater that asks for signatures', () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  let updater: RunningUpdater;

  const signedBy = (name: string, digest: string) => {
    const { key, keyId } = readSigningKey(at(`${name}.pem`));
    const { value } = signDigest(digest as Digest, key, keyId);
    return { keyId, value };
  };
  const register = (manifestDigest: string, signatures: readonly { keyId: string; value: string }[]) =>
    updater.clients.registry.registerVersion({ version: { manifestDigest, signatures: [...signatures] } });

  beforeAll(async () => {
    for (const name of ['ours', 'theirs']) {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      writeFileSync(at(`${name}.pem`), privateKey.export({ format: 'pem', type: 'pkcs8' }));
      writeFileSync(at(`${name}.pub`), publicKey.export({ format: 'pem', type: 'spki' }));
    }
    const settings = { THALAMUS_SIGNATURES: 'required', THALAMUS_TRUSTED_KEYS: at('ours.pub') };
    updater = await RunningUpdater.start(folder.path, settings);
    await waitUntil(
      'a writer is elected',
      async () => (await updater.clients.registry.getStatus({})).isLeader,
    );
  });
  afterAll(async () => {
    await updater.stop();
    folder.remove();
  });

  it('registers what a trusted key signed, which counts as trust whatever the manifest says', async () => {
    const digest = await updater.store(named('signed'));
    const signature = signedBy('ours', digest);
    const { version } = await register(digest, [signature]);
    expect(version?.value).toMatchObject({ value: { signatures: [signature], trust: 2 / 3 } });
  });

  it.each([
    ['nothing', [], /signed@2 \(sha256:\w+\) is not signed, and signatures are required/],
    ['another key', ['theirs'], /is signed by [0-9a-f]{32}, which THALAMUS_TRUSTED_KEYS does not list/],
  ])('refuses what %s signed, and registers nothing', async (_, keys, pattern) => {
    const digest = await updater.store(named('signed', '2'));
    const { code, message } = await errorOf(
      register(
        digest,
        keys.map((key) => signedBy(key, digest)),
      ),
    );
    expect(code).toBe('SIGNATURE_REFUSED');
    expect(message).toMatch(pattern);
    const { resources } = await updater.clients.registry.listResources({ kind: 'version' });
    expect(resources.map(({ key }) => key)).toEqual(['version/signed@1']);
  });

  it('refuses the signature of another bundle', async () => {
    const other = signedBy('ours', await updater.store(named('signed', '1')));
    const digest = await updater.store(named('signed', '3'));
    const { code, message } = await errorOf(register(digest, [other]));
    expect(code).toBe('SIGNATURE_REFUSED');
    expect(message).toMatch(/signed@3 by the trusted key [0-9a-f]{32} is not one of sha256:/);
  });

  it('takes a version of a remote model, which has no files', async () => {
    const upstream = {
      baseUrl: 'https://example.com/v1',
      model: 'm',
      priceInputUsdPerMtok: 1,
      priceOutputUsdPerMtok: 1,
    };
    const digest = await updater.store({
      ...named('remote'),
      kind: 'upstream',
      task: 'text-generation',
      upstream,
    });
    expect((await register(digest, [])).existed).toBe(false);
  });
});

describe('an updater that checks signatures alone', () => {
  it('takes a signature that a version got after it was registered', async () => {
    const folder = temporaryFolder();
    const pem = join(folder.path, 'ours.pem');
    const pub = join(folder.path, 'ours.pub');
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    writeFileSync(pem, privateKey.export({ format: 'pem', type: 'pkcs8' }));
    writeFileSync(pub, publicKey.export({ format: 'pem', type: 'spki' }));
    const updater = await RunningUpdater.start(folder.path, { THALAMUS_TRUSTED_KEYS: pub });
    try {
      const { registry } = updater.clients;
      await waitUntil('a writer is elected', async () => (await registry.getStatus({})).isLeader);
      const digest = await updater.store({ trust: { signed: true, scanned: true, backdoorTested: false } });
      const before = await registry.registerVersion({ version: { manifestDigest: digest } });
      expect(before.version?.value).toMatchObject({ value: { signatures: [], trust: 1 / 3 } });
      const { key, keyId } = readSigningKey(pem);
      const { value } = signDigest(digest as Digest, key, keyId);
      const after = await registry.registerVersion({
        version: { manifestDigest: digest, signatures: [{ keyId, value }] },
      });
      expect(after).toMatchObject({ existed: true });
      expect(after.version?.value).toMatchObject({ value: { signatures: [{ keyId, value }], trust: 2 / 3 } });
      const again = await registry.registerVersion({ version: { manifestDigest: digest } });
      expect(again.version?.revision).toBe(after.version?.revision);
    } finally {
      await updater.stop();
      folder.remove();
    }
  });
});
