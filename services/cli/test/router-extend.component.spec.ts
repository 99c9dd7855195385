import { openRouterBundle } from '@thalamus/bundle';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createProgram } from '../src/program.js';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const folder = mkdtempSync(join(tmpdir(), 'thalamus-router-extend-'));
const at = (name: string) => join(folder, name);

/** Sums, capitals and rivers; each model knows one of the three. */
function writeTable(path: string, models: readonly string[]): void {
  const rows = Array.from({ length: 180 }, (_, row) => {
    const kind = row % 3;
    const prompt = [
      `What is ${row} + ${7 * row}?`,
      `Name the capital of country number ${row} in the atlas.`,
      `Which river flows through valley ${row}?`,
    ][kind];
    return JSON.stringify({ id: row, prompt, scores: models.map((_model, k) => (k === kind ? 1 : 0)) });
  });
  const meta = { set: 'made', models, licence: 'CC0-1.0' };
  writeFileSync(path, `${[JSON.stringify({ meta }), ...rows].join('\n')}\n`);
}

/** Runs a command line; what it printed as JSON. */
async function run(...words: string[]): Promise<Record<string, unknown>> {
  let printed = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  try {
    await (await createProgram()).parseAsync([...words, '--json'], { from: 'user' });
  } finally {
    write.mockRestore();
  }
  return JSON.parse(printed) as Record<string, unknown>;
}

const extend = (out: string, ...more: string[]) =>
  run(
    ...['router', 'extend', '--router', at('old'), '--table', at('three.jsonl'), '--out', at(out), ...more],
  );

beforeAll(async () => {
  writeTable(at('two.jsonl'), ['lab/Adder-1', 'lab/Atlas-1']);
  writeTable(at('three.jsonl'), ['lab/Adder-1', 'lab/Atlas-1', 'lab/River-1']);
  await run('router', 'train', '--table', at('two.jsonl'), '--out', at('old'), '--seed', '4');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('thalamus router extend', () => {
  it('adds an expert, which prompts of its kind then go to', async () => {
    const answer = await extend('new', '--expert', 'river-1');
    expect(answer).toMatchObject({ router: 'old@2', expert: 'river-1', candidates: 3, folder: at('new') });
    const { manifest, digest } = await openRouterBundle(at('new'));
    expect(digest).toBe(answer['digest']);
    expect(manifest.candidates.map(({ expert }) => expert)).toEqual(['adder-1', 'atlas-1', 'river-1']);
    const routed = await run('route', 'Which river flows through valley 77?', '--router', at('new'));
    expect((routed['ranked'] as { expert: string }[])[0]!.expert).toBe('river-1');
    const sum = await run('route', 'What is 5 + 9?', '--router', at('new'));
    expect((sum['ranked'] as { expert: string }[])[0]!.expert).toBe('adder-1');
    const judged = await run('router', 'evaluate', '--router', at('new'), '--table', at('three.jsonl'));
    expect(judged['quality']).toBeGreaterThan(0.9);
  });

  it('is refused before anything is written', async () => {
    await expect(extend('none', '--expert', 'nobody')).rejects.toThrow(/no results of nobody/);
    await expect(extend('none', '--expert', 'adder-1')).rejects.toThrow(/has a head for adder-1 already/);
    await expect(extend('old', '--expert', 'river-1')).rejects.toThrow(/old is there already/);
    await expect(extend('none', '--expert', 'river-1', '--name', 'No Name')).rejects.toThrow(
      /no name of a router/,
    );
    expect(existsSync(at('none'))).toBe(false);
  });
});
