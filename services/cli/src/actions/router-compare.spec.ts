import {
  float32Tensor,
  writeRouterBundle,
  writeSafetensors,
  type Digest,
  type RouterManifest,
} from '@thalamus/bundle';
import { parseGate, parseRouterReport } from '@thalamus/compatibility';
import { writePicoBase } from '@thalamus/testing';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createProgram } from '../program.js';

/** Numbers that a router model reads of a prompt; the fourth is its share of digits. */
const WIDTH = 12;
const DIGITS = 3;
const folder = mkdtempSync(join(tmpdir(), 'router-compare-'));
const at = (name: string) => join(folder, name);
const base = at('base');
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  process.exitCode = undefined;
});

/** Writes a router model that chooses the adder for digits by `digits`, and otherwise by `losses`. */
async function writeRouter(
  version: string,
  losses: readonly [number, number],
  digits: number,
  digest: Digest,
) {
  const weights = new Float32Array(2 * WIDTH);
  weights[DIGITS] = -digits;
  const ones = (value: number) => float32Tensor([WIDTH], new Float32Array(WIDTH).fill(value));
  const manifest: Omit<RouterManifest, 'files'> = {
    ...{ schemaVersion: 1, name: 'chooser', version, task: 'text-generation', lossUnit: 'error' },
    description: 'Chooses by digits.',
    encoder: {
      ...{ name: 'pico', digest, maxTokens: 16, dimension: WIDTH },
      inputs: [{ kind: 'prompt', width: WIDTH, weight: 1 }],
      ...{ file: 'encoder.safetensors', tokenizer: 'tokenizer.json' },
    },
    candidates: ['adder', 'atlas'].map((expert) => ({
      ...{ expert, version: '1', digest, fittedOn: { lossTable: digest, rows: 1 } },
    })),
    heads: { kind: 'linear', file: 'heads.safetensors' },
    costScales: {},
    verbalLevels: { low: 0.1, medium: 0.5, high: 2 },
    calibration: {
      coverage: 0.9,
      intervals: ['adder', 'atlas'].map((expert) => ({ expert, lower: -0.25, upper: 0.5 })),
    },
    ...{ licence: 'Apache-2.0', trainingData: [], releaseDate: '2026-01-01' },
    evaluation: [{ dataset: 'none', split: 'test', metric: 'top-1', value: 0.5, n: 2, date: '2026-01-01' }],
  };
  await writeRouterBundle(at(version), manifest, {
    'heads.safetensors': writeSafetensors({
      'heads.weight': float32Tensor([2, WIDTH], weights),
      'heads.bias': float32Tensor([2], Float32Array.from(losses)),
    }),
    'encoder.safetensors': writeSafetensors({ 'prompt.mean': ones(0.02), 'prompt.deviation': ones(0.02) }),
    'tokenizer.json': readFileSync(join(base, 'tokenizer.json')),
  });
}

beforeAll(async () => {
  const { digest } = await writePicoBase(base, { name: 'pico' });
  await writeRouter('1', [0.5, 0.5], 0, digest);
  await writeRouter('2', [0.6, 0.5], 1, digest);
  const rows = Array.from({ length: 400 }, (_, row) =>
    JSON.stringify({
      id: `r${row}`,
      task: row % 4 === 0 ? 'capitals' : 'sums',
      prompt:
        row % 4 === 0 ? `Which town is it, of land ${'x'.repeat(row % 9)}` : `${row} + 1${row} + 123456`,
      scores: row % 4 === 0 ? [0, 1] : [1, 0],
    }),
  );
  const meta = { set: 'made', licence: 'CC0-1.0', origin: 'here', models: ['adder', 'atlas'] };
  writeFileSync(at('table.jsonl'), [JSON.stringify({ meta }), ...rows].join('\n'));
});

async function thalamus(...args: string[]) {
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  await (await createProgram()).parseAsync(args, { from: 'user' });
  const printed = written.mock.calls.map(([text]) => String(text)).join('');
  written.mockRestore();
  return { printed, exit: process.exitCode };
}

const compare = (before: string, after: string, ...more: string[]) => {
  const named = ['--before', at(before), '--after', at(after), '--table', at('table.jsonl'), '--base', base];
  return thalamus('router', 'compare', ...named, '--split', 'all', ...more);
};

describe('thalamus router compare', () => {
  it('lets a better router model pass, as a report that is evidence', async () => {
    const { printed, exit } = await compare('1', '2', '--json');
    const report = parseRouterReport(printed, 'the answer');
    expect(report).toMatchObject({
      ...{ verdict: 'compatible', n: 400, changedChoices: 0.25, nfr: 0, lossDifference: -0.25 },
      ...{ task: 'text-generation', lossUnit: 'error', regretBefore: 0.25, regretAfter: 0 },
      gate: { gate: 'default-router', status: 'passed' },
    });
    expect([report.before.version, report.after.version]).toEqual(['1', '2']);
    expect(report.slices.find(({ slice }) => slice === 'domain=capitals')?.lossAfter).toBe(0);
    expect(exit).toBe(0);
  });

  it('stops one that gives up what was chosen well, and says which kind of prompt', async () => {
    const { printed, exit } = await compare('2', '1', '--items', '2');
    expect(exit).toBe(1);
    expect(printed).toMatch(/^incompatible: chooser@1 beside chooser@2 on all 400 prompts of made/);
    expect(printed).toMatch(/failed +no-more-loss +regret is 0\.25/);
    expect(printed).toMatch(/domain=capitals +100 +100\.00 %/);
    expect(printed).toMatch(/lost +r\d+ +best atlas +was atlas +is adder/);
  });

  it('judges by the gate that is named, in Markdown too', async () => {
    const gate =
      '{ version: 1, name: mine, rules: [{ name: few, measure: changedChoices, data: router, threshold: 0.24, approvals: 1 }] }';
    writeFileSync(at('gate.yaml'), gate);
    const { printed, exit } = await compare('1', '2', '--gate', at('gate.yaml'), '--report', 'md');
    expect(exit).toBe(2);
    expect(printed).toContain('### ❔ Router model is inconclusive');
    expect(printed).toMatch(/\| few \| inconclusive \| changedChoices is 0\.25/);
    expect((await compare('1', '2', '--gate', at('gate.yaml'), '--approve', 'ada', '--json')).exit).toBe(0);
  });

  it.each([
    [['--gate', 'nowhere.yaml'], 'nowhere.yaml cannot be read (ENOENT)'],
    [['--json', '--report', 'md'], '--json and --report exclude each other'],
  ])('%j is refused', async (more, message) => {
    await expect(compare('1', '2', ...more)).rejects.toThrow(message);
  });
});

describe('thalamus release gate show --kind router', () => {
  it('prints a gate that can be read again', async () => {
    const { printed } = await thalamus('release', 'gate', 'show', '--kind', 'router');
    expect(parseGate(printed, 'shown').name).toBe('default-router');
  });
});
