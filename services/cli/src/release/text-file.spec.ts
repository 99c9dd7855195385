import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readProbes, readText } from './text-file.js';

const folder = mkdtempSync(join(tmpdir(), 'text-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('readProbes', () => {
  it('gives the bytes that it looked at', () => {
    const content = '\uFEFF{"id":"q1","text":"où","label":"place"}\r\n';
    expect(Buffer.from(readProbes(file('p.jsonl', content))).toString('utf8')).toBe(content);
  });

  it.each([
    ['a folder', () => folder, /cannot be read \(EISDIR\)/],
    ['nothing', () => join(folder, 'away.jsonl'), /away\.jsonl cannot be read \(ENOENT\)/],
    ['an empty file', () => file('empty.jsonl', ''), /empty\.jsonl holds no probes/],
    [
      'another encoding',
      () => file('latin.jsonl', Uint8Array.of(0x7b, 0xe9, 0x7d)),
      /latin\.jsonl is not UTF-8/,
    ],
    ['a device without an end', () => '/dev/zero', /^\/dev\/zero is larger than 16 MiB/],
  ])('refuses %s by name', (_, path, message) => {
    expect(() => readProbes(path())).toThrow(message);
  });
});

describe('readText', () => {
  it('reads a file, and refuses what has no end', () => {
    expect(readText(file('gate.yaml', 'version: 1\n'))).toBe('version: 1\n');
    expect(() => readText('/dev/zero')).toThrow(/^\/dev\/zero is larger than 64 MiB/);
  });
});
