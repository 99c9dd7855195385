import { DIMENSIONS } from '@thalamus/compatibility';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { createProgram } from '../program.js';

const folder = mkdtempSync(join(tmpdir(), 'compare-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  process.exitCode = undefined;
  vi.restoreAllMocks();
});

function file(name: string, answer: (at: number) => string, n = 600): string {
  const path = join(folder, name);
  const rows = Array.from({ length: n }, (_, at) =>
    JSON.stringify({
      id: `i${at}`,
      label: at % 3 === 0 ? 'no' : 'yes',
      prediction: answer(at),
      text: 'x'.repeat(at % 90),
    }),
  );
  writeFileSync(path, rows.join('\n'));
  return path;
}

const right = (at: number) => (at % 3 === 0 ? 'no' : 'yes');

async function compare(...args: string[]): Promise<{ readonly printed: string; readonly exit: unknown }> {
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  await (await createProgram()).parseAsync(['release', 'compare', ...args], { from: 'user' });
  const printed = written.mock.calls.map(([text]) => String(text)).join('');
  written.mockRestore();
  return { printed, exit: process.exitCode };
}

describe('thalamus release compare', () => {
  it('names every way to slice in its help', async () => {
    const release = (await createProgram()).commands.find((own) => own.name() === 'release')!;
    const verb = release.commands.find((own) => own.name() === 'compare')!;
    const { description } = verb.options.find(({ long }) => long === '--slices')!;
    expect(description).toContain(`figures by ${DIMENSIONS.join(', ')}, separated`);
  });

  it('answers with the figures by their names, slices, flipped items, and the verdict as exit code', async () => {
    const before = file('old.jsonl', right);
    const after = file('new.jsonl', (at) => (at < 60 ? 'x|`y' : right(at)));
    const args = ['--before', before, '--after', after, '--slices', 'label,length', '--items', '2', '--json'];
    const { printed, exit } = await compare(...args);
    expect(exit).toBe(1);
    const answer = JSON.parse(printed) as Record<string, unknown>;
    expect(answer).toMatchObject({
      n: 600,
      accuracyBefore: 1,
      accuracyAfter: 0.9,
      nfr: 0.1,
      pfr: 0,
      nfrMultipleChoice: 0.1,
      btc: 0.9,
      verdict: 'incompatible',
      budget: 0.01,
      power: { difference: 0.02 },
      flipped: [
        { id: 'i0', negative: true, label: 'no', predictionBefore: 'no', predictionAfter: 'x|`y' },
        { id: 'i1' },
      ],
    });
    expect(answer['mcnemarP']).toBeCloseTo(2 ** -59, 20);
    expect(Object.keys(answer['intervals'] as object)).toEqual([
      'accuracyBefore',
      'accuracyAfter',
      'accuracyDifference',
      'nfr',
      'pfr',
      'nfrMultipleChoice',
      'btc',
    ]);
    const slices = answer['slices'] as { slice: string; n: number; mcnemarP: number; mcnemarPHolm: number }[];
    expect(slices.filter(({ slice }) => slice.startsWith('length=')).reduce((sum, { n }) => sum + n, 0)).toBe(
      600,
    );
    for (const { mcnemarP, mcnemarPHolm } of slices) expect(mcnemarPHolm).toBeGreaterThanOrEqual(mcnemarP);
  });

  it('ends with 0 for a compatible and 2 for an inconclusive update', async () => {
    const good = file('good.jsonl', right);
    expect((await compare(good, good)).exit).toBe(0);
    const few = file('few.jsonl', right, 3);
    const { printed, exit } = await compare(few, few, '--json');
    expect(exit).toBe(2);
    expect(JSON.parse(printed)).toMatchObject({ n: 3, verdict: 'inconclusive', power: { hasEnough: false } });
  });

  it('prints a report for a pull request, in which values of the files format nothing', async () => {
    const before = file('old.jsonl', right);
    const after = file('new.jsonl', (at) => (at < 60 ? 'x|`y' : right(at)));
    const { printed } = await compare(before, after, '--report', 'md', '--items', '1');
    expect(printed).toMatch(/^### ❌ Update is incompatible\n\n60 of 600 items flipped/);
    expect(printed).toContain('| i0 | lost | no | no | x\\|\\`y |');
    const widths = printed
      .split('\n')
      .filter((line) => line.startsWith('| label='))
      .map((line) => line.split(/(?<!\\)\|/).length);
    expect(widths).toEqual([10, 10]);
  });

  it.each([
    [['--before', 'a.jsonl'], '--after FILE is missing'],
    [['a.jsonl', 'b.jsonl', '--before', 'c.jsonl'], 'name the same file twice'],
    [['nowhere.jsonl', 'b.jsonl'], 'nowhere.jsonl cannot be read (ENOENT)'],
    [['.', 'b.jsonl'], '. cannot be read (EISDIR)'],
    [['a.jsonl', 'b.jsonl', '--slices', 'label,label'], 'name "label" twice'],
    [['a.jsonl', 'b.jsonl', '--slices', 'colour'], '"colour" is no way to slice; known are label'],
  ])('%j is refused', async (args, message) => {
    await expect(compare(...args)).rejects.toThrow(message);
  });
});
