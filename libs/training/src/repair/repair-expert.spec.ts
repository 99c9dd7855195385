import { openBundle, writeBundle, type Digest } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { writePicoBase } from '@thalamus/testing';
import { createRandom } from '@thalamus/tensor';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatasetRow } from '../csv-dataset.js';
import type { RunHooks } from '../methods/expert-run.js';
import { HYPER_PARAMETERS } from '../methods/hyper-parameters.js';
import { openClassifier } from '../methods/open-classifier.js';
import { openTrainingBase } from '../methods/open-training-base.js';
import { trainExpert } from '../methods/train-expert.js';
import type { TrainingBase } from '../training-base.port.js';
import type { ExpertVersion } from './check-repairable.js';
import { repairExpert, type ExpertRepair, type FinishedRepair } from './repair-expert.js';

const SETTINGS = {
  ...HYPER_PARAMETERS.lora,
  epochs: 2,
  rate: 5e-3,
  headRate: 2e-2,
  rowsPerBatch: 16,
  rank: 4,
  alpha: 4,
  validationsPerEpoch: 1,
};

function rows(count: number, seed: number, labels: readonly string[]): DatasetRow[] {
  const random = createRandom(seed);
  const fillers = ['the', 'my', 'please', 'it', 'hello', 'world', 'block'];
  return Array.from({ length: count }, (_, index) => {
    const label = labels[random.below(labels.length)]!;
    const filler = () => fillers[random.below(fillers.length)]!;
    return {
      id: `${index}`,
      text: `${filler()} ${label} ${filler()} ${index}`,
      label,
      slice: '',
      line: index + 2,
    };
  });
}

describe('repairing an update', { timeout: 120_000 }, () => {
  let folder = '';
  let base: TrainingBase;
  let other: TrainingBase;
  let run: ExpertRepair;
  const runtime = new OrtRuntime();
  const readTokenizer = (json: Uint8Array) => Tokenizer.parse(json);
  const labels = ['card', 'law', 'money'];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'update-'));
    await writePicoBase(join(folder, 'base'), { name: 'pico' });
    await writePicoBase(join(folder, 'other'), { name: 'pico-two', seed: 5 });
    const tools = { runtime, threads: 1, readTokenizer };
    base = await openTrainingBase(join(folder, 'base'), tools);
    other = await openTrainingBase(join(folder, 'other'), tools);
    const facts: ExpertRepair['facts'] = {
      name: 'words',
      version: '3',
      description: 'Which word stands there.',
      licence: 'CC0-1.0',
      data: { name: 'unseen.csv', licence: 'CC0-1.0', origin: 'this test', rows: 60 },
      datasets: { validation: 'unseen.csv', test: 'unseen.csv' },
      seed: 3,
      date: '2026-01-02',
    };
    run = {
      // The old version stands on another base, and has its labels in another order.
      from: { expert: await version('v1', '1', other, ['money', 'card', 'law'], 7), base: other },
      to: { expert: await version('v2', '2', base, labels, 8), base },
      parts: { train: rows(60, 4, labels), validation: rows(24, 5, labels), test: rows(48, 6, labels) },
      arm: 'muscle',
      settings: SETTINGS,
      seed: 3,
      readTokenizer,
      facts,
    };
  });
  afterAll(async () => {
    await runtime.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function version(
    name: string,
    number: string,
    on: TrainingBase,
    of: readonly string[],
    seed: number,
  ) {
    const result = await trainExpert({
      base: on,
      parts: { train: rows(24, seed, of), validation: rows(12, 2, of), test: rows(12, 3, of) },
      method: 'lora',
      settings: { ...SETTINGS, epochs: 1 },
      keepMethod: true,
      seed,
      facts: {
        name: 'words',
        version: number,
        description: 'Which word stands there.',
        licence: 'CC0-1.0',
        trainingData: [{ name: 'made', licence: 'CC0-1.0', origin: 'this test', rows: 24 }],
        seed,
        date: '2026-01-01',
        datasets: { validation: 'made', test: 'made' },
      },
    });
    if (result.kind !== 'finished') throw new Error('The training was interrupted.');
    await writeBundle(join(folder, name), result.manifest, result.files);
    return openBundle(join(folder, name));
  }

  const finished = async (
    more: Partial<ExpertRepair> = {},
    hooks: RunHooks = {},
  ): Promise<FinishedRepair> => {
    const result = await repairExpert({ ...run, ...more }, hooks);
    if (result.kind !== 'finished') throw new Error('The repair was interrupted.');
    return result;
  };
  const written = async (name: string, { manifest, files }: FinishedRepair): Promise<Digest> =>
    (await writeBundle(join(folder, name), manifest, files)).digest;

  it('gives a bundle of the same shape and size that answers as it was judged; lineage and flips stand in it', async () => {
    const result = await finished();
    await written('repaired', result);
    const expert = await openBundle(join(folder, 'repaired'));
    const { manifest } = expert;
    const { manifest: like } = run.to.expert;
    for (const field of [
      'kind',
      'labels',
      'base',
      'maxTokens',
      'parameterCount',
      'flopsPerToken',
      'precision',
    ] as const)
      expect(manifest[field]).toEqual(like[field]);
    const bytes = (of: typeof manifest) =>
      of.files
        .filter(({ path }) => path.endsWith('.safetensors'))
        .map(({ path, bytes: size }) => [path, size]);
    expect(bytes(manifest)).toEqual(bytes(like));
    expect(
      manifest.lineage?.parents.map(({ name, version: number, digest }) => [name, number, digest]),
    ).toEqual([
      ['words', '2', run.to.expert.digest],
      ['words', '1', run.from.expert.digest],
      ['pico', base.manifest.version, base.digest],
    ]);
    expect(manifest.lineage?.recipe).toMatch(/^repair muscle of words@2 against words@1: .* 8 steps$/);
    expect(manifest.trainingData.map(({ name }) => name)).toEqual(['made', 'unseen.csv']);
    const { after, before } = result.judgement;
    const figure = (metric: string) => manifest.evaluation.find((row) => row.metric === metric);
    expect(figure('negative-flip-rate')?.value).toBeCloseTo(after.negativeFlips.value, 6);
    expect(figure('negative-flip-rate-before')?.interval?.[1]).toBeCloseTo(before.negativeFlips.high, 6);
    const classifier = await openClassifier(expert, { runtime, threads: 1, base, readTokenizer });
    const scores = await classifier.answer(run.parts.test.map(({ text }) => text));
    await classifier.release();
    const right = run.parts.test.filter(({ label }, row) => {
      const own = scores.subarray(row * labels.length, (row + 1) * labels.length);
      return manifest.labels![own.indexOf(Math.max(...own))] === label;
    });
    expect(right.length / run.parts.test.length).toBe(after.newAccuracy.value);
  });

  it('interrupted in the control and again in the repair, it goes on to the same bytes', async () => {
    const straight = await written('straight', await finished());
    const checkpointFile = join(folder, 'checkpoint');
    const interrupted = async (afterStep: number) => {
      const stop = new AbortController();
      let steps = 0;
      const result = await repairExpert(run, {
        checkpointFile,
        signal: stop.signal,
        onEvent: (event) => {
          if (event.kind === 'step' && ++steps === afterStep) stop.abort();
        },
      });
      expect(result.kind).toBe('interrupted');
      expect(existsSync(checkpointFile)).toBe(true);
      return steps;
    };
    // 60 rows in batches of 16, twice: eight steps each. Five of the control, then its rest and two of the repair.
    expect(await interrupted(5)).toBe(5);
    expect(await interrupted(5)).toBe(5);
    let left = 0;
    const resumed = await finished(
      {},
      { checkpointFile, onEvent: ({ kind }) => (left += kind === 'step' ? 1 : 0) },
    );
    expect(left).toBe(6);
    expect(await written('resumed', resumed)).toBe(straight);
    await expect(repairExpert({ ...run, seed: 4 }, { checkpointFile })).rejects.toThrow(
      /checkpoint of a run with other/,
    );
  });

  it('the control itself has no control', async () => {
    const { judgement } = await finished({ arm: 'continued' });
    expect(judgement.continued).toBeUndefined();
    expect(judgement.credit).toBe('no-control');
  });

  it('what cannot be repaired is refused by what is wrong', async () => {
    const refused = (more: Partial<ExpertRepair>) => repairExpert({ ...run, ...more });
    await expect(refused({ from: run.to })).rejects.toThrow(/are the same bundle/);
    const fewer: ExpertVersion = { expert: await version('fewer', '1', base, ['card', 'law'], 9), base };
    await expect(refused({ from: fewer })).rejects.toThrow(/other labels: only words@2 has "money"/);
    const odd = { ...other, tokenizerJson: new TextEncoder().encode('{}') };
    await expect(refused({ from: { ...run.from, base: odd } })).rejects.toThrow(/different tokenizers/);
    const probe = { ...run.to.expert, manifest: { ...run.to.expert.manifest, kind: 'probe' as const } };
    await expect(refused({ to: { expert: probe, base } })).rejects.toThrow(
      /words@2 is probe; a repair trains a low-rank/,
    );
  });
});
