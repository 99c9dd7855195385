import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { parseGate } from '@thalamus/compatibility';
import { createProgram } from '../program.js';

const SNIPS = fileURLToPath(new URL('../../../../zoo/experts/snips7', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  process.exitCode = undefined;
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function predictions(name: string, lost: (at: number) => boolean, n = 2000): string {
  const rows = Array.from({ length: n }, (_, at) =>
    JSON.stringify({ id: `i${at}`, label: `l${at % 20}`, prediction: lost(at) ? 'x' : `l${at % 20}` }),
  );
  return file(name, rows.join('\n'));
}

async function gate(...args: string[]) {
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  await (await createProgram()).parseAsync(['release', 'gate', ...args], { from: 'user' });
  const printed = written.mock.calls.map(([text]) => String(text)).join('');
  written.mockRestore();
  return { printed, exit: process.exitCode };
}

const before = predictions('before.jsonl', () => false);

describe('thalamus release gate check', () => {
  it.each([
    ['one of a thousand lost', 'good.jsonl', (at: number) => at % 1000 === 0, 2000, 'passed', 0],
    ['a label lost', 'slice.jsonl', (at: number) => at % 20 === 3 && at % 3 === 0, 2000, 'failed', 1],
    ['few items', 'few.jsonl', () => false, 100, 'inconclusive', 2],
  ])('by the default gate: %s', async (...given) => {
    const [, name, lost, n, status, code] = given;
    const old = n === 2000 ? before : predictions('few-before.jsonl', () => false, n);
    const { printed, exit } = await gate(
      'check',
      '--before',
      old,
      '--after',
      predictions(name, lost, n),
      '--json',
    );
    expect(JSON.parse(printed)).toMatchObject({ gate: 'default', status });
    expect(exit).toBe(code);
  });

  it('takes contracts and measured figures, and leaves out what has no evidence', async () => {
    const figures = file(
      'figures.json',
      JSON.stringify({ shadow: { errorRate: { value: 0.05, n: 400, pValue: 0.0001 } } }),
    );
    const own = file(
      'gate.yaml',
      `version: 1
name: mine
rules:
  - { name: contract, measure: breakingDifferences, data: contract, threshold: 0 }
  - { name: errors, measure: errorRate, data: shadow, threshold: 0.01 }
  - { name: people, measure: approvals, data: approvals, threshold: 2 }
  - { name: flips, measure: nfr, data: offline, threshold: 0.01 }
`,
    );
    const { printed, exit } = await gate(
      'check',
      own,
      '--from',
      SNIPS,
      '--to',
      SNIPS,
      '--figures',
      figures,
      '--approve',
      'ada',
    );
    expect(exit).toBe(1);
    expect(printed).toMatch(/^mine: failed\n {2}passed +contract/);
    expect(printed).toContain(
      'errorRate is 0.05 (always-valid p 0.0001; 400 samples), at most 0.01 is asked for.',
    );
    expect(printed).toContain('1 of 2 people have approved.');
    expect(printed).toContain('not looked at, for lack of evidence: flips');
  });

  it.each([
    [[], 'Nothing is given to judge by'],
    [['--before', before], '--before and --after belong together; --after is missing'],
    [['nowhere.yaml', '--before', before, '--after', before], 'nowhere.yaml cannot be read (ENOENT)'],
    [
      ['--figures', file('odd.json', '{"shadow": {"speed": {"value": 1, "n": 1}}}')],
      'odd.json holds no figures of a gate: shadow',
    ],
    [
      ['--figures', file('router.json', '{"router": {"regret": {"value": 1, "n": 1}}}')],
      'has no rule about router',
    ],
  ])('%j is refused', async (args, message) => {
    await expect(gate('check', ...args)).rejects.toThrow(message);
  });
});

describe('thalamus release gate show', () => {
  it('prints a gate that can be read again', async () => {
    const { printed } = await gate('show');
    expect(parseGate(printed, 'shown').name).toBe('default');
  });
});
