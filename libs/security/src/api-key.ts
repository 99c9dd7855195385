import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** A key as it is made: the whole text is shown once, the hash is kept. */
export interface MintedKey {
  /** Public part: `thk_` and 12 characters. */
  readonly id: string;
  /** The whole key: `<id>_<secret>`. */
  readonly key: string;
  /** SHA-256 of the secret, hex. */
  readonly secretSha256: string;
}

const FORM = /^(thk_[0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

/** Makes a key with 256 random bits; with so many, a plain hash is as safe as a slow one. */
export function mintApiKey(): MintedKey {
  const id = `thk_${randomBytes(6).toString('hex')}`;
  const secret = randomBytes(32).toString('base64url');
  return { id, key: `${id}_${secret}`, secretSha256: sha256(secret) };
}

/** The parts of a key, or undefined when the text is not one. */
export function parseApiKey(text: string): { readonly id: string; readonly secret: string } | undefined {
  const match = FORM.exec(text);
  return match ? { id: match[1] as string, secret: match[2] as string } : undefined;
}

/** Whether a secret has the stored hash; takes the same time for every wrong one. */
export function secretMatches(secret: string, secretSha256: string): boolean {
  const given = Buffer.from(sha256(secret), 'hex');
  const stored = Buffer.from(secretSha256, 'hex');
  return given.length === stored.length && timingSafeEqual(given, stored);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
