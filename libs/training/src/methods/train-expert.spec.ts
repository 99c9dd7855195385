import { openBundle, readClassifierHead, writeBundle } from '@thalamus/bundle';
import type { TrainingMethod } from '@thalamus/contracts';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { decodeModel, type Weights } from '@thalamus/onnx-graph';
import { writePicoBase } from '@thalamus/testing';
import { createRandom } from '@thalamus/tensor';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { classificationMetrics } from '../classification-metrics.js';
import { readDataset, type DatasetRow } from '../csv-dataset.js';
import { extractLowRank } from '../graphs/extract-low-rank.js';
import { foldBranches } from '../graphs/fold-branches.js';
import { parametersOf } from '../graphs/with-inputs.js';
import type { TrainingBase } from '../training-base.port.js';
import { HYPER_PARAMETERS, type HyperParameters } from './hyper-parameters.js';
import { openClassifier } from './open-classifier.js';
import { openTrainingBase, type BaseTools } from './open-training-base.js';
import { requireLabels, splitTraining } from './split-training.js';
import type { ExpertRun, RunHooks } from './expert-run.js';
import { trainedWeights } from './trained-weights.js';
import { trainExpert, type FinishedRun, type RunResult } from './train-expert.js';

const SETTINGS: HyperParameters = {
  ...HYPER_PARAMETERS.full,
  epochs: 3,
  rate: 5e-3,
  headRate: 2e-2,
  rowsPerBatch: 8,
  rank: 4,
  alpha: 4,
};

const WORDS = 'embeddings.word_embeddings.weight';

/** Two classes that only the order of words tells apart, so that a linear head on mean vectors is not enough. */
function rows(count: number, seed: number): DatasetRow[] {
  const random = createRandom(seed);
  const fillers = ['the', 'my', 'please', 'it', 'hello', 'world', 'money', 'block'];
  return Array.from({ length: count }, (_, index) => {
    const isFirst = random.next() < 0.5;
    const filler = () => fillers[random.below(fillers.length)]!;
    const text = [
      filler(),
      isFirst ? 'card' : 'law',
      filler(),
      isFirst ? 'law' : 'card',
      filler(),
      String(index),
    ].join(' ');
    return {
      id: String(index + 1),
      text,
      label: isFirst ? 'card-first' : 'law-first',
      slice: '',
      line: index + 2,
    };
  });
}

describe('trainExpert on a small encoder', () => {
  let folder = '';
  let base: TrainingBase;
  let tools: BaseTools;
  const runtime = new OrtRuntime();
  const parts = { train: rows(120, 1), validation: rows(60, 2), test: rows(60, 3) };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'expert-'));
    await writePicoBase(join(folder, 'base'), { name: 'pico' });
    tools = { runtime, threads: 1, readTokenizer: (json) => Tokenizer.parse(json) };
    base = await openTrainingBase(join(folder, 'base'), tools);
  });
  afterAll(async () => {
    await runtime.close();
    await rm(folder, { recursive: true, force: true });
  });

  const run = (
    method: TrainingMethod,
    more: Partial<ExpertRun> = {},
    hooks: RunHooks = {},
  ): Promise<RunResult> =>
    trainExpert(
      {
        base,
        parts,
        method,
        settings: SETTINGS,
        seed: 4,
        keepMethod: true,
        facts: {
          name: 'order',
          version: '1',
          description: 'Which word comes first.',
          licence: 'CC0-1.0',
          trainingData: [{ name: 'made', licence: 'CC0-1.0', origin: 'this test', rows: 120 }],
          seed: 4,
          date: '2026-01-01',
          datasets: { validation: 'made', test: 'made' },
        },
        ...more,
      },
      hooks,
    );
  const finished = async (...given: Parameters<typeof run>): Promise<FinishedRun> => {
    const result = await run(...given);
    if (result.kind !== 'finished') throw new Error('The run was interrupted.');
    return result;
  };
  const written = async (name: string, { manifest, files }: FinishedRun) =>
    (await writeBundle(join(folder, name), manifest, files)).digest;

  it.each(['full', 'lora', 'svd'] as const)(
    '%s learns more than a probe can; its bundle answers as the trained model; twice the same bytes',
    async (method) => {
      const result = await finished(method);
      expect(result.method).toBe(method);
      expect(result.trained!.validation.logLoss).toBeLessThan(result.probe.validation.logLoss);
      const digest = await written(`${method}-a`, result);
      expect(await written(`${method}-b`, await finished(method))).toBe(digest);

      const expert = await openBundle(join(folder, `${method}-a`));
      expect(expert.manifest.lineage?.recipe).toMatch(new RegExp(`^${method}: AdamW`));
      expect(expert.manifest.kind).toBe(method === 'full' ? 'full' : 'lowrank');
      const classifier = await openClassifier(expert, { ...tools, base });
      const scores = await classifier.answer(parts.test.map(({ text }) => text));
      await classifier.release();
      const classes = Int32Array.from(parts.test, ({ label }) => classifier.labels.indexOf(label));
      const metrics = classificationMetrics(scores, classes, 2);
      expect(metrics.accuracy).toBe(result.trained!.test.accuracy);
      expect(metrics.logLoss).toBeCloseTo(result.trained!.test.logLoss, 4);
    },
  );

  it('starts the head as the probe times headScale, and says so', async () => {
    const still = { ...SETTINGS, epochs: 1, rate: 1e-12, headRate: 1e-12 };
    const headOf = async (name: string, result: FinishedRun) => {
      await written(name, result);
      return readClassifierHead(await openBundle(join(folder, name)), base.read.config.hiddenSize);
    };
    const probe = await headOf('start-probe', await finished('probe'));
    for (const headScale of [1, 0.25]) {
      const result = await finished('lora', { settings: { ...still, headScale } });
      const head = await headOf(`start-${headScale}`, result);
      expect(Math.max(...head.weights.map(Math.abs))).toBeGreaterThan(0);
      for (const part of ['weights', 'bias'] as const)
        expect(
          Math.max(...head[part].map((x, at) => Math.abs(x - probe[part][at]! * headScale))),
        ).toBeLessThan(1e-5);
      const said = headScale === 1 ? 'from a probe, linear' : 'from a probe times 0.25, linear';
      expect(result.manifest.lineage?.recipe).toContain(said);
    }
  });

  it('svd of the largest rank has the linear layers of the full fine-tune; a larger one is refused', async () => {
    const { weights } = base.read;
    await written('all-weights', await finished('full'));
    const bytes = await (await openBundle(join(folder, 'all-weights'))).readFile('model.onnx');
    const names = [...weights.keys()].filter((name) => weights.get(name)!.shape.length === 2);
    const tuned = trainedWeights(weights, parametersOf(decodeModel(bytes), new Set(names)));
    const factors = await extractLowRank(weights, tuned, { rank: 16, seed: 1 });
    const layers = names.filter((name) => name.startsWith('encoder.'));
    expect(factors.map(({ layer }) => `${layer}.weight`)).toEqual(layers);
    const folded = foldBranches(weights, factors, 1);
    const apart = (a: Weights, b: Weights) =>
      layers.map((name) =>
        a.get(name)!.data.reduce((most, x, at) => Math.max(most, Math.abs(x - b.get(name)!.data[at]!)), 0),
      );
    expect(Math.min(...apart(weights, tuned))).toBeGreaterThan(1e-3);
    expect(Math.max(...apart(folded, tuned))).toBeLessThan(1e-4);
    expect(folded.get(WORDS)).toBe(weights.get(WORDS));

    const embed = () => Promise.reject(new Error('embedded before it was refused'));
    await expect(run('svd', { settings: { ...SETTINGS, rank: 17 } }, { embed })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/Rank 17 is more than encoder\..* has; choose at most 16/) as string,
    });
  });

  it.each([1, 7, 20])(
    'interrupted after step %i and run again, it ends with the bytes of a run that was not',
    async (stopAfter) => {
      const whole = await written('whole', await finished('lora'));
      const checkpointFile = join(folder, `checkpoint-${stopAfter}`);
      const stop = new AbortController();
      const interrupted = await run(
        'lora',
        {},
        {
          checkpointFile,
          signal: stop.signal,
          onEvent: (event) => {
            if (event.kind === 'step' && event.step === stopAfter) stop.abort();
          },
        },
      );
      expect(interrupted.kind).toBe('interrupted');
      const steps: number[] = [];
      const resumed = await finished(
        'lora',
        {},
        {
          checkpointFile,
          // The probe that the head started from is in the checkpoint.
          embed: () => Promise.reject(new Error('embedded again')),
          onEvent: (event) => {
            if (event.kind === 'step') steps.push(event.step);
          },
        },
      );
      expect(steps[0]).toBe(stopAfter + 1);
      expect(await written('resumed', resumed)).toBe(whole);
      const anew = { checkpointFile, foreignCheckpoint: 'pass-over' } as const;
      expect(await written('anew', await finished('lora', { seed: 5 }, anew))).not.toBe(whole);
      await expect(run('lora', { seed: 5 }, { checkpointFile })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(
          /checkpoint of a run with other data, base, seed or settings/,
        ) as string,
      });
    },
  );

  it('ships the probe where it is as good on the validation rows, and says so', async () => {
    const result = await finished('full', {
      keepMethod: false,
      settings: { ...SETTINGS, rate: 1e-12, headRate: 1e-12 },
    });
    expect(result.method).toBe('probe');
    expect(result.manifest.kind).toBe('probe');
    expect(result.notes.join()).toMatch(/The probe is as good or better on the 60 validation rows/);
  });

  it('ships what has the lower loss where both are right as often', async () => {
    // Two rows that both get right: accuracy cannot tell them apart.
    const [first, second] = ['card-first', 'law-first'].map((label) =>
      parts.validation.find((row) => row.label === label)!,
    );
    const result = await finished('full', {
      keepMethod: false,
      parts: { ...parts, train: [first!, second!, ...parts.train], validation: [first!, second!] },
    });
    expect(result.probe.validation.accuracy).toBe(result.trained!.validation.accuracy);
    expect(result.trained!.validation.logLoss).toBeLessThan(result.probe.validation.logLoss);
    expect(result.method).toBe('full');
  });

  it('says how many training texts were cut', async () => {
    const long = parts.train.map((row, index) =>
      index < 3 ? { ...row, text: `${row.text} ${'money '.repeat(20)}` } : row,
    );
    const result = await finished('lora', {
      parts: { ...parts, train: long },
      settings: { ...SETTINGS, maxTokens: 16, epochs: 1 },
    });
    expect(result.notes[0]).toBe('3 of 120 training texts are longer than 16 tokens and were cut.');
    const served = base.manifest.maxTokens;
    const longer = long.map((row, index) =>
      index === 0 ? { ...row, text: `${row.text} ${'money '.repeat(served)}` } : row,
    );
    const probe = await finished('probe', { parts: { ...parts, train: longer } });
    expect(probe.notes).toEqual([`1 of 240 texts are longer than ${served} tokens and were cut.`]);
  });

  it('says which labels nothing judges, by line', async () => {
    const odd = { ...parts.train[0]!, id: 'odd', text: 'hello world', label: 'SECRET', line: 122 };
    const { notes, labels } = await finished('probe', { parts: { ...parts, train: [...parts.train, odd] } });
    expect(labels).toHaveLength(3);
    expect(notes).toEqual([
      '1 of 3 labels have a single row (line 122): it is learned, but nothing judges it; add rows of the label.',
    ]);
  });

  it('a loss that runs away stops with step and tensor, its last checkpoint kept and no bundle', async () => {
    const checkpointFile = join(folder, 'diverging');
    const poisoned = {
      ...base,
      runtime: {
        load: async (...given: Parameters<OrtRuntime['load']>) => {
          const session = await runtime.load(...given);
          let calls = 0;
          return {
            release: () => session.release(),
            run: async (...feeds: Parameters<typeof session.run>) => {
              const outputs = await session.run(...feeds);
              const loss = outputs['loss'];
              if (loss) calls += 1;
              return calls === 5 && loss
                ? { ...outputs, loss: { ...loss, data: Float32Array.of(NaN) } }
                : outputs;
            },
          };
        },
      } as TrainingBase['runtime'],
    };
    await expect(
      run('lora', { base: poisoned }, { checkpointFile, checkpointDue: () => true }),
    ).rejects.toMatchObject({
      code: 'TRAINING_DIVERGED',
      message: expect.stringMatching(/step 5: the loss is NaN/) as string,
    });
    const steps: number[] = [];
    await finished('lora', {}, { checkpointFile, onEvent: (event) => steps.push(event.step) });
    expect(steps[0]).toBe(5);
  });

  it('a full disk stops it with what to do, and leaves nothing half-written', async () => {
    const place = await mkdtemp(join(folder, 'full-'));
    await expect(
      run(
        'lora',
        {},
        {
          checkpointFile: join(place, 'checkpoint'),
          checkpointDue: () => true,
          // A device that really has no space left.
          openFile: () => open('/dev/full', 'w'),
        },
      ),
    ).rejects.toMatchObject({ code: 'ARTIFACT_STORE_FULL' });
    expect(await readdir(place)).toEqual([]);
  });

  it('refuses a bundle that stands on another base', async () => {
    await written('over-pico', await finished('probe'));
    const expert = await openBundle(join(folder, 'over-pico'));
    await writePicoBase(join(folder, 'other'), { name: 'pico', seed: 9 });
    const other = await openTrainingBase(join(folder, 'other'), tools);
    await expect(openClassifier(expert, { ...tools, base: other })).rejects.toMatchObject({
      code: 'BUNDLE_INVALID',
      message: expect.stringMatching(
        /order stands on pico sha256:.*but the base given is pico sha256:.*--base/,
      ) as string,
    });
    await expect(openClassifier(expert, tools)).rejects.toThrow(/no base was given/);
    await expect(openTrainingBase(join(folder, 'over-pico'), tools)).rejects.toThrow(
      /experts are trained on a full encoder/,
    );
    expect(existsSync(join(folder, 'over-pico', 'expert.json'))).toBe(true);
  });
});

describe('rows that cannot be trained on', () => {
  const csv = (text: string, file = 'rows.csv') => ({ rows: readDataset(Buffer.from(text), file), file });
  const many = (label: string, count: number, from = 0) =>
    Array.from({ length: count }, (_, index) => `text number ${from + index},${label}\n`).join('');

  it('one class', () => {
    expect(() => splitTraining(csv(`text,label\n${many('a', 30)}`), undefined, 0)).toThrow(
      /every row has the same label/,
    );
  });

  it('a class with one row goes to training, since nothing else could learn it', () => {
    const data = csv(`text,label\n${many('a', 40)}${many('b', 40, 100)}the only one,c\n`);
    for (let seed = 0; seed < 20; seed++) {
      const split = splitTraining(data, undefined, seed);
      expect(split.train.filter(({ label }) => label === 'c')).toHaveLength(1);
      expect([...split.validation, ...split.test].some(({ label }) => label === 'c')).toBe(false);
    }
  });

  it('test labels that training never saw are named by line, not quoted', () => {
    const data = csv(`text,label\n${many('a', 30)}${many('b', 30, 100)}`);
    const test = csv('text,label\nsomething else,a\nand more,SECRET\n', 'held-out.csv');
    expect(() => splitTraining(data, test, 0)).toThrow(
      'held-out.csv: the label on line 3 is none of the 2 that the training data has; correct it or remove the row.',
    );
    expect(() => {
      requireLabels(test, new Set(['a']), 'order');
    }).toThrow(/line 3 is none of the 1 that order has/);
  });

  it('a test set that holds every text', () => {
    const data = csv(`text,label\n${many('a', 5)}${many('b', 5, 100)}`);
    expect(() => splitTraining(data, data, 0)).toThrow(/every text is also in rows\.csv/);
  });
});
