import { openBundle, readClassifierHead, readLowRankAdapter, writeBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { writePicoBase } from '@thalamus/testing';
import { createRandom } from '@thalamus/tensor';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatasetRow } from '../csv-dataset.js';
import { openClassifier } from '../methods/open-classifier.js';
import { openTrainingBase } from '../methods/open-training-base.js';
import { HYPER_PARAMETERS } from '../methods/hyper-parameters.js';
import { trainExpert } from '../methods/train-expert.js';
import type { TrainingBase } from '../training-base.port.js';
import { REPAIR_ARM_NAMES, REPAIR_ARMS, type RepairArmName } from './repair-arms.js';
import { prepareRepair, type RepairRun, type TrainedRepair } from './train-repair.js';

const SETTINGS = {
  ...HYPER_PARAMETERS.lora,
  epochs: 2,
  rate: 5e-3,
  headRate: 2e-2,
  rowsPerBatch: 8,
  rank: 4,
  alpha: 8,
  decay: 0,
  validationsPerEpoch: 1,
};
const LABELS = ['card', 'law', 'money'];

function rows(count: number, seed: number): DatasetRow[] {
  const random = createRandom(seed);
  const fillers = ['the', 'my', 'please', 'it', 'hello', 'world', 'block'];
  return Array.from({ length: count }, (_, index) => {
    const label = LABELS[random.below(LABELS.length)]!;
    const filler = () => fillers[random.below(fillers.length)]!;
    return {
      id: String(index + 1),
      text: `${filler()} ${label} ${filler()} ${index}`,
      label,
      slice: '',
      line: index + 2,
    };
  });
}

describe('repairing an adapter of a small encoder', { timeout: 120_000 }, () => {
  let folder = '';
  let base: TrainingBase;
  let run: Omit<RepairRun, 'arm'>;
  const runtime = new OrtRuntime();
  const readTokenizer = (json: Uint8Array) => Tokenizer.parse(json);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'repair-'));
    await writePicoBase(join(folder, 'base'), { name: 'pico' });
    base = await openTrainingBase(join(folder, 'base'), { runtime, threads: 1, readTokenizer });
    const result = await trainExpert({
      base,
      parts: { train: rows(30, 1), validation: rows(20, 2), test: rows(20, 3) },
      method: 'lora',
      settings: { ...SETTINGS, epochs: 1 },
      keepMethod: true,
      seed: 1,
      facts: {
        name: 'words',
        version: '2',
        description: 'Which word stands there.',
        licence: 'CC0-1.0',
        trainingData: [{ name: 'made', licence: 'CC0-1.0', origin: 'this test', rows: 30 }],
        seed: 1,
        date: '2026-01-01',
        datasets: { validation: 'made', test: 'made' },
      },
    });
    if (result.kind !== 'finished') throw new Error('The training was interrupted.');
    await writeBundle(join(folder, 'v2'), result.manifest, result.files);
    const expert = await openBundle(join(folder, 'v2'));
    const classifier = await openClassifier(expert, { runtime, threads: 1, base, readTokenizer });
    const parts = { train: rows(48, 4), validation: rows(24, 5), test: rows(24, 6) };
    const random = createRandom(9);
    const taught = async (part: readonly DatasetRow[]) => {
      const texts = part.map(({ text }) => text);
      const encoded = await base.tokens.encode(texts, 64);
      const answers = await classifier.answer(texts);
      return {
        ids: encoded.map(({ ids }) => ids),
        classes: Int32Array.from(part, ({ label }) => expert.manifest.labels!.indexOf(label)),
        // An old version that differs from the new one.
        answers: { new: answers, old: answers.map((score) => score + random.normal()) },
      };
    };
    run = {
      base,
      name: 'words',
      start: {
        adapter: await readLowRankAdapter(expert),
        head: await readClassifierHead(expert, base.read.config.hiddenSize),
      },
      train: await taught(parts.train),
      validation: await taught(parts.validation),
      test: (await taught(parts.test)).ids,
      settings: SETTINGS,
      seed: 3,
    };
    await classifier.release();
  });
  afterAll(async () => {
    await runtime.close();
    await rm(folder, { recursive: true, force: true });
  });

  const repaired = async (arm: RepairArmName, more: Partial<RepairRun> = {}): Promise<TrainedRepair> => {
    const result = await prepareRepair({ ...run, arm, ...more }).run({});
    if (!result) throw new Error('The repair was interrupted.');
    return result;
  };

  it('begins as the new version: before a step both answer the same', async () => {
    const still = await repaired('new', {
      settings: { ...SETTINGS, rate: 1e-12, headRate: 1e-12, epochs: 1 },
    });
    const { answers } = run.validation;
    expect(Math.max(...still.validation.map((score, at) => Math.abs(score - answers.new[at]!)))).toBeLessThan(
      1e-4,
    );
    expect(still.factors.map(({ layer }) => layer).sort()).toEqual(
      run.start.adapter.factors.map(({ layer }) => layer).sort(),
    );
  });

  it.each(REPAIR_ARM_NAMES)(
    '%s: the loss of its graph equals the one that validation chooses by',
    async (arm) => {
      // A training set of one batch and no step: the loss that the graph tells is that of the start.
      const events: number[] = [];
      const settings = { ...SETTINGS, epochs: 1, rate: 1e-12, headRate: 1e-12, rowsPerBatch: 64 };
      const prepared = prepareRepair({ ...run, arm, train: run.validation, settings });
      let chosenBy = NaN;
      await prepared.run({
        onEvent: (event) => {
          if (event.kind === 'step') events.push(event.loss);
          else chosenBy = event.figures['repairLoss']!;
        },
      });
      expect(events).toHaveLength(1);
      expect(events[0]!).toBeGreaterThan(arm === 'new' || arm === 'muscle' ? -1e-6 : 1e-4);
      expect(Math.abs(events[0]! - chosenBy)).toBeLessThan(2e-5);
    },
  );

  it('twice the same bits; arms differ; the labels alone learn what distilling from oneself does not', async () => {
    const [first, again, continued, self] = [
      await repaired('muscle'),
      await repaired('muscle'),
      await repaired('continued'),
      await repaired('new'),
    ];
    expect(first.test).toEqual(again.test);
    expect(first.test).not.toEqual(continued.test);
    const right = ({ validation }: TrainedRepair) =>
      [...run.validation.classes].filter((label, row) => {
        const own = validation.subarray(row * LABELS.length, (row + 1) * LABELS.length);
        return own.indexOf(Math.max(...own)) === label;
      }).length;
    expect(right(continued)).toBeGreaterThan(right(self));
  });

  it('an adapter of fewer layers keeps its layers', async () => {
    const { adapter } = run.start;
    const [one] = adapter.factors;
    const start = { ...run.start, adapter: { ...adapter, factors: [one!] } };
    const { factors } = await repaired('muscle', { start, settings: { ...SETTINGS, epochs: 1 } });
    expect(factors.map(({ layer, rank }) => [layer, rank])).toEqual([[one!.layer, 4]]);
  });

  it('an adapter of another base is refused by the layer', () => {
    const { adapter } = run.start;
    const odd = { ...adapter, factors: [{ ...adapter.factors[0]!, inputs: 7 }] };
    expect(() => prepareRepair({ ...run, arm: 'muscle', start: { ...run.start, adapter: odd } })).toThrow(
      /words: adapter\.safetensors/,
    );
  });

  it('every arm says what it learns from', () => {
    expect(new Set(REPAIR_ARM_NAMES.map((name) => REPAIR_ARMS[name].description)).size).toBe(
      REPAIR_ARM_NAMES.length,
    );
  });
});
