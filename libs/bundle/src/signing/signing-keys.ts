import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ThalamusError } from '@thalamus/errors';
import { systemCode } from '../storage-error.js';
import { keyIdOf } from './bundle-signature.js';

/** Largest file of keys, bytes. */
const MAX_KEY_BYTES = 256 * 1024;
const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g;

/** A key that signs, and the id of its public half. */
export interface SigningKey {
  readonly key: KeyObject;
  readonly keyId: string;
}

/**
 * Reads a private key in PEM, as `openssl genpkey -algorithm ed25519` writes it. Nothing of the key stands in a message.
 * @throws CONFIG_INVALID for a file that cannot be read, or holds another kind of key
 */
export function readSigningKey(file: string): SigningKey {
  const text = readText(file);
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    throw invalid(file, 'holds no private key in PEM without a passphrase');
  }
  requireEd25519(file, key);
  return { key, keyId: keyIdOf(createPublicKey(key)) };
}

/**
 * Reads public keys in PEM, one or more in a file, as `openssl pkey -in key.pem -pubout` writes them; by their id.
 * @throws CONFIG_INVALID for a file that cannot be read, has no key, or holds anything else than public Ed25519 keys
 */
export function readTrustedKeys(file: string): ReadonlyMap<string, KeyObject> {
  const keys = new Map<string, KeyObject>();
  for (const [block, kind] of readText(file).matchAll(PEM)) {
    if (kind !== 'PUBLIC KEY')
      throw invalid(file, `holds a ${String(kind).toLowerCase()}; trusted keys are public ones alone`);
    let key: KeyObject;
    try {
      key = createPublicKey(block);
    } catch {
      throw invalid(file, 'holds a key that cannot be read');
    }
    requireEd25519(file, key);
    keys.set(keyIdOf(key), key);
  }
  if (keys.size === 0) throw invalid(file, 'holds no public key in PEM');
  return keys;
}

function requireEd25519(file: string, key: KeyObject): void {
  if (key.asymmetricKeyType !== 'ed25519')
    throw invalid(file, `holds a key of the kind ${key.asymmetricKeyType ?? 'unknown'}, not ed25519`);
}

function readText(file: string): string {
  try {
    const bytes = readFileSync(file);
    if (bytes.byteLength <= MAX_KEY_BYTES) return bytes.toString('utf8');
  } catch (cause) {
    throw invalid(file, `cannot be read (${systemCode(cause)})`);
  }
  throw invalid(file, `is larger than ${MAX_KEY_BYTES} bytes`);
}

function invalid(file: string, description: string): ThalamusError {
  return new ThalamusError(
    'CONFIG_INVALID',
    `${file} ${description}; "openssl genpkey -algorithm ed25519" makes a private key, "openssl pkey -pubout" writes its public one.`,
  );
}
