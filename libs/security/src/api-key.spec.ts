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
    expect(secretMatches(parsed!.secret, '')).toBe(false);
  });

  it('refuse what has not their form', () => {
    for (const text of ['', 'thk_', 'sk-123', `${mintApiKey().key}x`, mintApiKey().key.toUpperCase()])
      expect(parseApiKey(text)).toBeUndefined();
  });

  it('never repeat', () => {
    expect(new Set(Array.from({ length: 100 }, () => mintApiKey().key)).size).toBe(100);
  });
});
