import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleFiles, sampleManifest } from '../../test/sample-bundle.js';
import { bundleDigest, openBundle } from '../open-bundle.js';
import { writeBundle } from '../write-bundle.js';
import { addSignature, keyIdOf, readSignatures, SIGNATURE_FILE, signDigest } from './bundle-signature.js';
import { SignaturePolicy } from './signature-policy.js';
import { readSigningKey, readTrustedKeys } from './signing-keys.js';

const OTHER = `sha256:${'0'.repeat(64)}` as const;

let root = '';
const at = (name: string) => join(root, name);
const pem = (key: KeyObject) =>
  key.export({ format: 'pem', type: key.type === 'private' ? 'pkcs8' : 'spki' }).toString();

/** A key pair in files `<name>.pem` and `<name>.pub`. */
async function keyPair(name: string) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  await writeFile(at(`${name}.pem`), pem(privateKey));
  await writeFile(at(`${name}.pub`), pem(publicKey));
  return { publicKey, keyId: keyIdOf(publicKey) };
}

/** A bundle that keys have signed. */
async function signedBundle(...names: readonly string[]) {
  const folder = at('bundle');
  await writeBundle(folder, sampleManifest(), sampleFiles());
  const digest = await bundleDigest(folder);
  for (const name of names) {
    const { key, keyId } = readSigningKey(at(`${name}.pem`));
    await addSignature(folder, digest, signDigest(digest, key, keyId));
  }
  return { folder, digest, signatures: await readSignatures(folder, digest) };
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'signing-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('a signature', () => {
  it('changes no digest, and the bundle still opens', async () => {
    await keyPair('ours');
    await writeBundle(at('bundle'), sampleManifest(), sampleFiles());
    const before = await bundleDigest(at('bundle'));
    const { folder, digest } = await signedBundle('ours');
    expect(digest).toBe(before);
    expect((await openBundle(folder)).digest).toBe(before);
  });

  it('of each key stands once, also when it signs again', async () => {
    const [ours, theirs] = [await keyPair('ours'), await keyPair('theirs')];
    const { signatures } = await signedBundle('ours', 'theirs', 'ours');
    expect(signatures.map(({ keyId }) => keyId)).toEqual([theirs.keyId, ours.keyId]);
  });

  // The secret key of RFC 8032, 7.1, test 1; id and signature as "openssl pkey -pubout -outform DER | sha256sum" and
  // "openssl pkeyutl -sign -rawin" give them.
  it('and the id of its key are those of OpenSSL', async () => {
    const seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
    const der = Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex');
    await writeFile(
      at('rfc.pem'),
      `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`,
    );
    const { key, keyId } = readSigningKey(at('rfc.pem'));
    expect(signDigest(OTHER, key, keyId)).toEqual({
      algorithm: 'ed25519',
      keyId: '06e3fd8fda29bb60ab59557de61edb0a',
      value: 'zKKvRHT4G9VZtCy/KUmNK3s17fjMfR1YpgviSjjdOQiaTQ0xLNBsTPCTTycpD5JEcD+WfsmRDe0xTl/8EDkYDw==',
    });
  });

  it.each([
    ['is no JSON', () => '{', /signature\.json is not JSON/],
    [
      'has a field that is unknown',
      (file: object) => JSON.stringify({ ...file, more: 1 }),
      /unrecognized key|more/i,
    ],
    [
      'is of another manifest',
      (file: object) => JSON.stringify({ ...file, manifest: OTHER }),
      /is of the manifest sha256:0+, but/,
    ],
    ['has no signature', (file: object) => JSON.stringify({ ...file, signatures: [] }), /signatures/],
    ['is too large', () => ' '.repeat(70_000), /no plain file of at most 65536 bytes/],
  ])('that %s is refused', async (_, change, pattern) => {
    await keyPair('ours');
    const { folder, digest } = await signedBundle('ours');
    const file = JSON.parse(await readFile(join(folder, SIGNATURE_FILE), 'utf8')) as object;
    await writeFile(join(folder, SIGNATURE_FILE), change(file));
    await expect(readSignatures(folder, digest)).rejects.toMatchObject({
      code: 'BUNDLE_INVALID',
      message: expect.stringMatching(pattern) as string,
    });
  });

  it('in a link is refused', async () => {
    await keyPair('ours');
    const { folder, digest } = await signedBundle();
    await writeFile(at('elsewhere'), '{}');
    await symlink(at('elsewhere'), join(folder, SIGNATURE_FILE));
    await expect(readSignatures(folder, digest)).rejects.toThrow(/signature\.json cannot be read \(ELOOP\)/);
    await expect(openBundle(folder)).rejects.toThrow(/signature\.json is a link/);
  });
});

describe('a policy', () => {
  const policy = (signatures: 'checked' | 'required', keys = 'ours') =>
    SignaturePolicy.load({ signatures, trustedKeysFile: at(`${keys}.pub`) });
  const refused = (pattern: RegExp): unknown =>
    expect.objectContaining({ code: 'SIGNATURE_REFUSED', message: expect.stringMatching(pattern) as string });

  it('takes what a trusted key signed, one of several in the file', async () => {
    await keyPair('ours');
    await keyPair('theirs');
    await writeFile(
      at('both.pub'),
      (await readFile(at('theirs.pub'), 'utf8')) + (await readFile(at('ours.pub'), 'utf8')),
    );
    expect(readTrustedKeys(at('both.pub')).size).toBe(2);
    const { digest, signatures } = await signedBundle('ours');
    expect(policy('required', 'both').check('a@1', digest, signatures)).toBe(true);
  });

  it('refuses what is unsigned, or signed by others, only where signatures are required', async () => {
    await keyPair('ours');
    await keyPair('theirs');
    const { digest, signatures } = await signedBundle('theirs');
    expect(policy('checked').check('a@1', digest, signatures)).toBe(false);
    expect(policy('checked').check('a@1', digest, [])).toBe(false);
    expect(() => policy('required').check('a@1', digest, [])).toThrow(
      refused(/^a@1 \(sha256:\w+\) is not signed/),
    );
    expect(() => policy('required').check('a@1', digest, signatures)).toThrow(refused(/does not list/));
  });

  it.each(['checked', 'required'] as const)(
    'refuses a wrong signature of a trusted key when %s',
    async (how) => {
      await keyPair('ours');
      const { digest, signatures } = await signedBundle('ours');
      const [{ keyId, value }] = signatures as [(typeof signatures)[0]];
      const flipped = Buffer.from(value, 'base64');
      flipped[0] = (flipped[0] ?? 0) ^ 1;
      expect(() => policy(how).check('a@1', OTHER, signatures)).toThrow(refused(/is not one of sha256:0+/));
      const wrong = { keyId, value: flipped.toString('base64') };
      expect(() => policy(how).check('a@1', digest, [wrong])).toThrow(refused(/sign the bundle again/));
      const short = { keyId, value: 'AAAA' };
      expect(() => policy(how).check('a@1', digest, [short])).toThrow(refused(/sign the bundle again/));
    },
  );

  it('that requires signatures needs keys', () => {
    expect(() => SignaturePolicy.load({ signatures: 'required' })).toThrow(
      /THALAMUS_SIGNATURES .* THALAMUS_TRUSTED_KEYS/,
    );
    expect(SignaturePolicy.load({ signatures: 'checked' }).isActive).toBe(false);
  });
});

describe('a file of keys', () => {
  it.each([
    ['is missing', undefined, /cannot be read \(ENOENT\)/],
    ['holds none', 'hello', /holds no public key in PEM/],
    [
      'holds a private key',
      () => pem(generateKeyPairSync('ed25519').privateKey),
      /holds a private key; trusted keys are public ones alone/,
    ],
    [
      'holds a key of another kind',
      () => pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey),
      /of the kind ec, not ed25519/,
    ],
    ['holds a torn key', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', /cannot be read/],
  ])('to trust that %s is refused', async (_, content, pattern) => {
    if (content !== undefined) await writeFile(at('keys'), typeof content === 'string' ? content : content());
    expect(() => readTrustedKeys(at('keys'))).toThrow(pattern);
  });

  it.each([
    ['is a public key', () => pem(generateKeyPairSync('ed25519').publicKey), /holds no private key in PEM/],
    [
      'is of another kind',
      () => pem(generateKeyPairSync('x25519').privateKey),
      /of the kind x25519, not ed25519/,
    ],
  ])('to sign with that %s is refused', async (_, content, pattern) => {
    await writeFile(at('key'), content());
    expect(() => readSigningKey(at('key'))).toThrow(pattern);
  });
});
