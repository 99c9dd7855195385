import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mintApiKey, parseApiKey, secretMatches } from './api-key.js';

describe('API keys', () => {
  it('are parsed back and match only their own hash', () => {
    const one = mintApiKey();
    const other = mintApiKey();
    const parsed = parseApiKey(one.key);
    expect(parsed?.id).toBe(one.id);
    expect(secretMatches(parsed!.secret, one.secretSha256)).toBe(true);
    expect(secretMatches(parsed!.secret, other.secretSha256)).toBe(false);
  });

  it('have a form of their own: public id, then 32 random bytes in base64url', () => {
    const { id, key } = mintApiKey();
    expect(id).toMatch(/^thk_[0-9a-f]{12}$/);
    expect(key.startsWith(`${id}_`)).toBe(true);
    expect(Buffer.from(key.slice(id.length + 1), 'base64url')).toHaveLength(32);
  });

  it('are kept as the SHA-256 of the secret, from which nothing of it can be read', () => {
    const { key, secretSha256 } = mintApiKey();
    const { secret } = parseApiKey(key)!;
    expect(secretSha256).toBe(createHash('sha256').update(secret).digest('hex'));
    expect(secretSha256).not.toContain(secret);
  });

  it.each([
    ['nothing', ''],
    ['the prefix alone', 'thk_'],
    ['the key of somebody else', 'sk-0123456789abcdef0123456789abcdef'],
    ['an id without a secret', 'thk_0123456789ab'],
    ['a secret that is too short', `thk_0123456789ab_${'a'.repeat(42)}`],
    ['a secret that is too long', `thk_0123456789ab_${'a'.repeat(44)}`],
    ['an id that is no hex', `thk_0123456789xy_${'a'.repeat(43)}`],
    ['a character outside base64url', `thk_0123456789ab_${'a'.repeat(42)}+`],
    ['a line feed at the end', `thk_0123456789ab_${'a'.repeat(43)}\n`],
    ['a space before', ` thk_0123456789ab_${'a'.repeat(43)}`],
    ['another case', `THK_0123456789ab_${'a'.repeat(43)}`],
    ['a megabyte', 'thk_'.repeat(262_144)],
  ])('refuse %s', (_what, text) => {
    expect(parseApiKey(text)).toBeUndefined();
  });

  it('never repeat', () => {
    expect(new Set(Array.from({ length: 1_000 }, () => mintApiKey().key)).size).toBe(1_000);
  });
});

describe('secretMatches', () => {
  const { key, secretSha256 } = mintApiKey();
  const { secret } = parseApiKey(key)!;

  it.each([
    ['nothing', ''],
    ['half of it', secretSha256.slice(0, 32)],
    ['more than it', `${secretSha256}00`],
    ['no hex', 'z'.repeat(64)],
    ['one bit off', `${secretSha256.slice(0, 63)}${secretSha256.endsWith('0') ? '1' : '0'}`],
  ])('is false, and does not throw, when %s is stored', (_what, stored) => {
    expect(secretMatches(secret, stored)).toBe(false);
  });

  it('is false for every other secret', () => {
    fc.assert(
      fc.property(fc.string(), (text) => text === secret || !secretMatches(text, secretSha256)),
      { seed: 20_261_125, numRuns: 500 },
    );
  });

  it('compares hashes of one length by timingSafeEqual, never the secrets themselves', () => {
    // A secret of any length is hashed first: what is compared has 32 bytes whatever was sent.
    for (const text of ['', 'a', 'a'.repeat(100_000)]) expect(secretMatches(text, secretSha256)).toBe(false);
    expect(
      secretMatches('a'.repeat(100_000), createHash('sha256').update('a'.repeat(100_000)).digest('hex')),
    ).toBe(true);
  });
});
