import { PEFT_FILES } from '@thalamus/bundle';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { thalamus } from './support/run-thalamus.js';
import { trainingFolder, type TrainingFolder } from './support/training-folder.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const SAMPLE = { train: 'zoo/data/sample/snips7.train.csv', test: 'zoo/data/sample/snips7.test.csv' };

// Each test starts several processes, which take seconds where the machine is busy.
vi.setConfig({ testTimeout: 600_000 });

let folder: TrainingFolder;
beforeAll(async () => {
  folder = await trainingFolder();
});
afterAll(() => folder.remove());

const here = () => ({ folder: folder.path });

describe('experts train --out, show and evaluate, as the tutorial runs them', () => {
  it('make an expert of the sample in a folder, describe it, and answer rows that it never saw', async () => {
    const inRepository = { folder: ROOT };
    const out = folder.at('snips');
    const trained = await thalamus(
      [
        'experts',
        'train',
        '--task',
        'snips7',
        '--data',
        SAMPLE.train,
        '--out',
        out,
        '--method',
        'probe',
        '--json',
        ...['--threads', '1'],
      ],
      inRepository,
    );
    expect(trained).toMatchObject({ exit: 0, stderr: '' });
    const made = JSON.parse(trained.stdout) as { readonly digest: string };
    expect(made).toMatchObject({ expert: 'snips7', kind: 'probe', labels: 7, notes: [] });

    const shown = await thalamus(['experts', 'show', out, '--json'], inRepository);
    expect(shown).toMatchObject({ exit: 0, stderr: '' });
    const { files, ...manifest } = JSON.parse(shown.stdout) as {
      readonly files: readonly { path: string }[];
    };
    expect(manifest).toMatchObject({ name: 'snips7', digest: made.digest, task: 'text-classification' });
    expect(files.map(({ path }) => path)).toContain('head.safetensors');

    const predictions = folder.at('predictions.jsonl');
    const measured = await thalamus(
      [
        'experts',
        'evaluate',
        out,
        '--data',
        SAMPLE.test,
        '--predictions',
        predictions,
        '--json',
        '--threads',
        '1',
      ],
      inRepository,
    );
    expect(measured).toMatchObject({ exit: 0, stderr: '' });
    const figures = JSON.parse(measured.stdout) as Record<'n' | 'accuracy' | 'macroF1' | 'logLoss', number>;
    const rows = (await readFile(predictions, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; label: string; prediction: string; score: number });
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: figures.n }, (_, row) => String(row + 1)));
    for (const row of rows) expect(Object.keys(row)).toEqual(['id', 'label', 'prediction', 'score']);
    expect(rows.every(({ score }) => score > 1 / 7 && score <= 1)).toBe(true);
    const right = rows.filter(({ label, prediction }) => label === prediction).length;
    expect(right / rows.length).toBe(figures.accuracy);
    expect(figures.accuracy).toBeGreaterThan(0.8);
    expect(figures.macroF1).toBeGreaterThan(0.8);
    expect(figures.logLoss).toBeLessThan(Math.log(7) / 2);
  });
});

describe('experts train, show and import for people', () => {
  const small = ['--data', 'rows.csv', '--base', 'base', '--threads', '1'];

  it('say what was made and what comes next on standard output, progress on standard error', async () => {
    const train = ['experts', 'train', '--name', 'order', ...small];
    const { exit, stdout, stderr } = await thalamus(
      [...train, '--out', 'order', '--epochs', '1', '--rank', '2', '--max-tokens', '16', '--keep-method'],
      here(),
    );
    expect(exit).toBe(0);
    expect(stdout).toMatch(/order: order, lowrank, 2 labels, trained on \d+ rows\.\n/);
    expect(stdout).toContain('npx thalamus experts show order');
    expect(stderr).toMatch(/training {2}\d+\/\d+.*tokens\/s/);
    expect(await folder.list()).not.toContain('order.training');
    const shown = await thalamus(['experts', 'show', './order'], here());
    expect(shown).toMatchObject({ exit: 0, stderr: '' });
    expect(shown.stdout).toMatch(/^order@1 {3}lowrank, text-classification, 2 labels/);
  });

  it('turn an adapter into an expert, which then can be measured', async () => {
    await mkdir(folder.at('peft'));
    await copyFile(folder.at('order/adapter.safetensors'), folder.at(join('peft', PEFT_FILES.adapter)));
    await copyFile(folder.at('order/adapter_config.json'), folder.at(join('peft', PEFT_FILES.config)));
    const more = ['--base', 'base', '--head', 'order/head.safetensors', '--labels', 'one,two'];
    const imported = await thalamus(
      ['experts', 'import', './peft', '--out', 'imported', '--name', 'imported', ...more, '--json'],
      here(),
    );
    expect(imported).toMatchObject({ exit: 0, stderr: '' });
    expect(JSON.parse(imported.stdout)).toMatchObject({
      expert: 'imported',
      rank: 2,
      labels: ['one', 'two'],
    });
    const measure = (expert: string) => thalamus(['experts', 'evaluate', expert, ...small, '--json'], here());
    const [original, copy] = [await measure('./order'), await measure('./imported')];
    expect(copy).toMatchObject({ exit: 0, stderr: '' });
    expect(copy.stdout).toBe(original.stdout);
  });
});
