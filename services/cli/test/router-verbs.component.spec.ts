import { openRouterBundle, parseRouterEvaluation, ROUTER_EVALUATION } from '@thalamus/bundle';
import { createRandom } from '@thalamus/tensor';
import { cpSync, mkdtempSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProgram } from '../src/program.js';

const folder = mkdtempSync(join(tmpdir(), 'thalamus-router-verbs-'));
const table = join(folder, 'table.jsonl');
const out = join(folder, 'made');

/** Two models: one knows sums, the other capitals. */
function writeTable(
  path: string,
  models: readonly string[],
  change: (line: string, at: number) => string = (line) => line,
): void {
  const random = createRandom(3);
  const rows = Array.from({ length: 120 }, (_, at) => {
    const isSum = at % 2 === 0;
    const prompt = isSum
      ? `What is ${random.below(900)} + ${random.below(900)}?`
      : `Name the capital of country number ${['one', 'two', 'three', 'four'][random.below(4)]} in the atlas, volume ${at}.`;
    return change(
      JSON.stringify({ id: at, task: isSum ? 'sums' : 'capitals', prompt, scores: isSum ? [1, 0] : [0, 1] }),
      at,
    );
  });
  const meta = { set: 'made', models, price_usd_per_mtok: [1, 0.1], licence: 'CC0-1.0' };
  writeFileSync(path, `${[JSON.stringify({ meta }), ...rows].join('\n')}\n`);
}

/** Runs a command line; what it printed as JSON. */
async function run(...words: string[]): Promise<Record<string, unknown>> {
  let printed = '';
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (text: string) => {
    printed += text;
    return true;
  };
  try {
    await (await createProgram()).parseAsync([...words, '--json'], { from: 'user' });
  } finally {
    process.stdout.write = write;
  }
  return JSON.parse(printed) as Record<string, unknown>;
}

const best = (answer: Record<string, unknown>) => (answer['ranked'] as { expert: string }[])[0]!.expert;

beforeAll(async () => {
  writeTable(table, ['lab/Adder-1', 'lab/Atlas-1']);
  await run('router', 'train', '--table', table, '--out', out, '--seed', '4');
}, 120_000);
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('thalamus router train', () => {
  it('writes the folder, and nothing else beside it', () => {
    expect(readdirSync(out).sort()).toEqual([
      'choice.json',
      'encoder.safetensors',
      'heads.safetensors',
      'risk.safetensors',
      'router.json',
      'tokenizer.json',
    ]);
    expect(readdirSync(folder).sort()).toEqual(['made', 'table.jsonl']);
  });

  it('refuses a folder that is there, and leaves it alone', async () => {
    await expect(run('router', 'train', '--table', table, '--out', out)).rejects.toThrow(
      /made is there already/,
    );
    const empty = mkdtempSync(join(folder, 'empty-'));
    await expect(run('router', 'train', '--table', table, '--out', empty)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    expect(readdirSync(empty)).toEqual([]);
    rmSync(empty, { recursive: true });
  });

  it('refuses a broken table with its line, and makes no folder', async () => {
    const broken = join(folder, 'broken.jsonl');
    writeTable(broken, ['a', 'b'], (line, at) => (at === 70 ? line.replace('[', '[7,') : line));
    const target = join(folder, 'none');
    await expect(run('router', 'train', '--table', broken, '--out', target)).rejects.toThrow(
      /line 72 has 3 results for 2 models/,
    );
    expect(existsSync(target)).toBe(false);
    rmSync(broken);
  });

  it.each([
    [['--encoder', 'huge'], /Allowed choices are fast, accurate/],
    [['--seed', 'x'], /whole number/],
    [['--name', 'No Name'], /is no name of a router model/],
  ])('refuses %j', async (more, pattern) => {
    await expect(
      run('router', 'train', '--table', table, '--out', join(folder, 'x'), ...more),
    ).rejects.toThrow(pattern);
  });
});

describe('thalamus router evaluate', () => {
  it('judges the same test rows every time, beside the baselines', async () => {
    const first = await run('router', 'evaluate', '--router', out, '--table', table, '--split', 'test');
    expect(first).toMatchObject({ fitted: false, split: 'test', oracle: 1 });
    expect(first['quality']).toBeGreaterThan(0.9);
    for (const name of [
      'n',
      'quality',
      'oracle',
      'bestSingle',
      'random',
      'top1',
      'regret',
      'ece',
      'brier',
      'meanCost',
      'baselines',
      'pareto',
    ])
      expect(first).toHaveProperty(name);
    expect(await run('router', 'evaluate', '--router', out, '--table', table, '--split', 'test')).toEqual(
      first,
    );
  }, 60_000);

  it('keeps the report in the folder, which stays the same router', async () => {
    const kept = join(folder, 'kept');
    cpSync(out, kept, { recursive: true });
    const words = ['router', 'evaluate', '--router', kept, '--table', table, '--split', 'test'] as const;
    const { saved, ...judged } = await run(...words, '--save');
    expect(judged).toMatchObject({ fitted: false, split: 'test', oracle: 1 });
    const before = await openRouterBundle(out);
    const after = await openRouterBundle(kept);
    expect(saved).toEqual({ folder: kept, digest: after.digest });
    const { files, ...manifest } = after.manifest;
    expect({ ...manifest, files: files.filter(({ path }) => path !== ROUTER_EVALUATION) }).toEqual(
      before.manifest,
    );
    const report = parseRouterEvaluation(await after.readFile(ROUTER_EVALUATION));
    expect(report).toMatchObject({ n: judged['n'], router: 'made', experts: ['adder-1', 'atlas-1'] });
    expect(report.map.labels.toSorted()).toEqual(['capitals', 'sums']);
    expect(report.map.spaces.map(({ space }) => space)).toEqual(['encoder', 'features', 'losses']);
    expect(report.map.spaces.at(-1)?.purity.label).toBeGreaterThan(0.9);
    expect(JSON.stringify(report)).not.toContain('What is');
    rmSync(kept, { recursive: true });
  }, 120_000);

  it('refuses a table over other models', async () => {
    const other = join(folder, 'other.jsonl');
    writeTable(other, ['lab/Adder-1', 'Stranger']);
    await expect(
      run('router', 'evaluate', '--router', out, '--table', other, '--split', 'all'),
    ).rejects.toThrow(/no head for Stranger/);
    rmSync(other);
  }, 60_000);
});

describe('thalamus route --router', () => {
  const route = (prompt: string, ...more: string[]) => run('route', prompt, '--router', out, ...more);

  it('sends prompts where they are answered', async () => {
    expect(best(await route('What is 17 + 25?'))).toBe('adder-1');
    expect(best(await route('Name the capital of country number two in the atlas, volume 3.'))).toBe(
      'atlas-1',
    );
  }, 60_000);

  it('heeds flags of the command line and of the prompt', async () => {
    expect(best(await route('What is 17 + 25?', '--flag', 'cost=5'))).toBe('atlas-1');
    expect(best(await route('What is 17 + 25? [flag: cost<0.5]'))).toBe('atlas-1');
  }, 60_000);

  it('holds a bound on the risk, and says by which rule', async () => {
    const { risk, ranked } = await route('What is 17 + 25?', '--risk', '0.05,0.1');
    expect(risk).toMatchObject({ alpha: 0.05, delta: 0.1, saves: 'cost' });
    expect(['adder-1', 'atlas-1']).toContain((risk as { reference: string }).reference);
    expect((risk as { rows: number }).rows).toBeGreaterThan(50);
    expect(ranked).toHaveLength(2);
    for (const wrong of ['0.05', '0.05,1', 'x,0.1', '0.1,0.1,0.1'])
      await expect(route('hello', '--risk', wrong)).rejects.toThrow();
    await expect(route('hello', '--risk', '1,0.1')).rejects.toThrow(/no expert can lose 1 or more/);
  }, 60_000);

  it.each([
    ['an empty prompt', ['  '], /prompt is empty/],
    ['a prompt of tags alone', ['[flag: cost=1]'], /empty once its flag tags/],
    ['a prompt beyond a megabyte', ['x'.repeat(2 ** 20 + 1)], /at most 1048576 are taken/],
    ['an unknown flag', ['hello', '--flag', 'colour=1'], /Flag "colour": it is unknown/],
    ['limits below every candidate', ['hello', '--flag', 'cost<0.01'], /removed 2/],
    [
      'options of a mesh',
      ['hello', '--url', 'http://x'],
      /--url: a router model in a folder has no such option/,
    ],
  ])('refuses %s', async (_, [prompt, ...more], pattern) => {
    await expect(route(prompt!, ...more)).rejects.toThrow(pattern);
  });

  it('takes a prompt of a megabyte and other scripts', async () => {
    const answer = await route('数 '.repeat(2 ** 18 - 10));
    expect(answer['truncated']).toBe(true);
    expect(Number.isFinite((answer['ranked'] as { predictedLoss: number }[])[0]!.predictedLoss)).toBe(true);
    await expect(route('मुझे बताओ 🙂')).resolves.toHaveProperty('ranked');
  }, 60_000);

  it('refuses a folder that is no router model', async () => {
    await expect(run('route', 'hello', '--router', folder)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
  });
});
