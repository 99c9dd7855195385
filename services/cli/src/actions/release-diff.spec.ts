import { encodeManifest, openBundle, sha256Hex } from '@thalamus/bundle';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { createProgram } from '../program.js';

const ZOO = fileURLToPath(new URL('../../../../zoo', import.meta.url));
const SNIPS = join(ZOO, 'experts/snips7');
const folder = mkdtempSync(join(tmpdir(), 'diff-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  process.exitCode = undefined;
});

/** A copy of a bundle with another manifest and other files. */
async function copy(
  from: string,
  name: string,
  change: Record<string, unknown>,
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  const to = join(folder, name);
  cpSync(from, to, { recursive: true });
  const { manifest } = await openBundle(from);
  for (const [path, text] of Object.entries(files)) writeFileSync(join(to, path), text);
  const entries = manifest.files.map((entry) => {
    const bytes = readFileSync(join(to, entry.path));
    return { ...entry, sha256: sha256Hex(bytes), bytes: bytes.length };
  });
  writeFileSync(join(to, 'expert.json'), encodeManifest({ ...manifest, files: entries, ...change }));
  return to;
}

async function diff(...args: string[]) {
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  await (await createProgram()).parseAsync(['release', 'diff', ...args], { from: 'user' });
  const printed = written.mock.calls.map(([text]) => String(text)).join('');
  written.mockRestore();
  return { printed, exit: process.exitCode };
}

describe('thalamus release diff', () => {
  it('of a bundle with itself finds nothing', async () => {
    expect(await diff(SNIPS, SNIPS)).toEqual({
      printed: `${SNIPS} and ${SNIPS} ask and give alike.\n`,
      exit: 0,
    });
  });

  it('tells swapped labels and a smaller limit as breaking, and lets them through with a reason', async () => {
    const { labels } = (await openBundle(SNIPS)).manifest;
    const [first, second, ...rest] = labels!;
    const other = await copy(SNIPS, 'swapped', {
      labels: [second!, first!, ...rest],
      maxTokens: 64,
      precision: 'int8',
    });
    const { printed, exit } = await diff(SNIPS, other, '--json');
    expect(exit).toBe(1);
    const answer = JSON.parse(printed) as { differences: { field: string; severity: string }[] };
    expect(answer).toMatchObject({ breaking: 2, allowed: false });
    expect(answer.differences.map(({ field, severity }) => `${field} ${severity}`)).toEqual([
      'labels breaking',
      'maxTokens breaking',
      'dtype risky',
    ]);
    const overridden = await diff(SNIPS, other, '--override', 'nobody reads logits', '--json');
    expect(overridden.exit).toBe(0);
    expect(JSON.parse(overridden.printed)).toMatchObject({ allowed: true, override: 'nobody reads logits' });
  });

  it('looks at what a tokenizer does with texts, not at its file alone', async () => {
    const base = join(ZOO, 'base/minilm-l6');
    const text = readFileSync(join(base, 'tokenizer.json'), 'utf8');
    const spaced = await copy(
      base,
      'spaced',
      {},
      { 'tokenizer.json': JSON.stringify(JSON.parse(text), undefined, 1) },
    );
    const { printed, exit } = await diff(base, spaced);
    expect([printed, exit]).toEqual([
      'safe  tokenizer  The tokenizer is another file that makes the same tokens of 24 probe texts.\n',
      0,
    ]);
    const parsed = JSON.parse(text) as { normalizer: { lowercase: boolean } };
    parsed.normalizer.lowercase = !parsed.normalizer.lowercase;
    const cased = await copy(base, 'cased', {}, { 'tokenizer.json': JSON.stringify(parsed) });
    const other = await diff(base, cased);
    expect(other.printed).toMatch(/^breaking {2}tokenizer {2}\d+ of 24 probe texts become other tokens/);
    expect(other.exit).toBe(1);
  });

  it.each([
    [['nowhere', SNIPS], 'nowhere is neither a folder with expert.json nor expert@version'],
    [[SNIPS, SNIPS, '--override', ' '], '--override is empty'],
    [[SNIPS, 'snips7@2', '--data', '/nowhere'], /mesh/],
  ])('%j is refused', async (args, message) => {
    await expect(diff(...args)).rejects.toThrow(message);
  });
});
