import { createHash, sign, verify, type KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';
import { parseDigest, type Digest } from '../digest.js';
import { digestText } from '../manifest-fields.js';
import { systemCode } from '../storage-error.js';

/** File beside a manifest that holds the signatures over its digest; no manifest lists it, so signing changes no digest. */
export const SIGNATURE_FILE = 'signature.json';

/** Largest signature file, bytes. */
const MAX_SIGNATURE_BYTES = 64 * 1024;
/** Most signatures of one bundle. */
const MAX_SIGNATURES = 16;
/** Hex digits of a key's id. */
const KEY_ID_DIGITS = 32;

const signature = z.strictObject({
  algorithm: z.literal('ed25519'),
  keyId: z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 lower-case hex digits'),
  value: z.base64('must be base64').length(88, 'must be 64 bytes in base64'),
});

const signatureFile = z.strictObject({
  schemaVersion: z.literal(1),
  manifest: digestText,
  signatures: z.array(signature).min(1).max(MAX_SIGNATURES),
});

/** A signature over the digest of a manifest. */
export type BundleSignature = z.infer<typeof signature>;

/** What is signed: the purpose, so that the signature means nothing elsewhere, and the digest. */
function payloadOf(digest: Digest): Uint8Array {
  return new TextEncoder().encode(`thalamus bundle v1\n${digest}\n`);
}

/** Id of a public key: the first 128 bits of the SHA-256 of its SubjectPublicKeyInfo (RFC 8410), in hex. */
export function keyIdOf(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, KEY_ID_DIGITS);
}

/** Signs the digest of a manifest (Ed25519, RFC 8032). The key must be an Ed25519 private key; `keyId` is that of its public half. */
export function signDigest(digest: Digest, privateKey: KeyObject, keyId: string): BundleSignature {
  const value = sign(null, payloadOf(parseDigest(digest)), privateKey).toString('base64');
  return { algorithm: 'ed25519', keyId, value };
}

/** Whether a signature over a digest is of a public key. */
export function isSignedBy(
  publicKey: KeyObject,
  digest: Digest,
  { value }: Pick<BundleSignature, 'value'>,
): boolean {
  return verify(null, payloadOf(digest), publicKey, Buffer.from(value, 'base64'));
}

/**
 * Signatures in a bundle's folder, empty without a signature file. They are read, not verified.
 * @throws BUNDLE_INVALID for a file that is malformed, a link, or of another manifest
 */
export async function readSignatures(folder: string, digest: Digest): Promise<readonly BundleSignature[]> {
  const text = await readFile(folder);
  if (text === undefined) return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refused(folder, 'is not JSON', cause);
  }
  const parsed = signatureFile.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refused(
      folder,
      `${issue?.path.map(String).join('.') ?? ''} ${issue?.message ?? 'is malformed'}`.trim(),
    );
  }
  const { manifest, signatures } = parsed.data;
  if (manifest !== digest)
    throw refused(folder, `is of the manifest ${manifest}, but the one beside it is ${digest}`);
  return signatures;
}

/** Adds a signature to a bundle's folder; one of the same key gives way. Appears whole. */
export async function addSignature(folder: string, digest: Digest, added: BundleSignature): Promise<void> {
  const known = await readSignatures(folder, digest);
  const signatures = [...known.filter(({ keyId }) => keyId !== added.keyId), added];
  const text = `${JSON.stringify({ schemaVersion: 1, manifest: digest, signatures }, null, 2)}\n`;
  const path = join(folder, SIGNATURE_FILE);
  const temporary = `${path}.writing-${process.pid}`;
  try {
    await writeFile(temporary, text, { flag: 'wx', flush: true });
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function readFile(folder: string): Promise<string | undefined> {
  try {
    const file = await open(join(folder, SIGNATURE_FILE), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const facts = await file.stat();
      if (!facts.isFile() || facts.size > MAX_SIGNATURE_BYTES)
        throw refused(folder, `is no plain file of at most ${MAX_SIGNATURE_BYTES} bytes`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    if (ThalamusError.is(cause)) throw cause;
    throw refused(
      folder,
      `cannot be read (${systemCode(cause) || 'unreadable'}); it must be a plain file`,
      cause,
    );
  }
}

function refused(folder: string, description: string, cause?: unknown): ThalamusError {
  return new ThalamusError(
    'BUNDLE_INVALID',
    `Bundle ${folder}: ${SIGNATURE_FILE} ${description}. Remove the file and sign the bundle again.`,
    { violations: [{ field: SIGNATURE_FILE, description }], cause },
  );
}
