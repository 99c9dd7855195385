import { openBundle, writeBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { createRandom } from '@thalamus/tensor';
import { PICO_CONFIG, picoId, writePicoBase } from '@thalamus/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskVocabulary, type MaskVocabulary } from '../data/mask-tokens.js';
import type { TrainingBase } from '../training-base.port.js';
import { HYPER_PARAMETERS } from './hyper-parameters.js';
import { readMaskedLm } from './masked-lm-bundle.js';
import { openMaskedLm } from './open-masked-lm.js';
import { openTrainingBase } from './open-training-base.js';
import type { KeptRunHooks } from './resumable-run.js';
import {
  MASKED_LOG_LOSS,
  trainMaskedLmExpert,
  type MaskedLmExpertRun,
  type MaskedLmResult,
} from './train-masked-lm-expert.js';

/** Sentences in which each word decides the next one. */
function windows(chains: readonly string[], count: number, seed: number): number[][] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const words = `${chains[random.below(chains.length)]!} ${chains[random.below(chains.length)]!}`.split(
      ' ',
    );
    return [picoId('[CLS]'), ...words.map(picoId), picoId('[SEP]')];
  });
}

const GENERAL = ['the card lost my money', 'please block it hello world', 'law court the law court'];
const OWN = ['money my lost card the'];

describe('masked language models as branches over a base', () => {
  const runtime = new OrtRuntime();
  let folder = '';
  let base: TrainingBase;
  let vocabulary: MaskVocabulary;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'masked-lm-'));
    await writePicoBase(join(folder, 'base'), { name: 'pico' });
    const readTokenizer = (json: Uint8Array) => Tokenizer.parse(json);
    base = await openTrainingBase(join(folder, 'base'), { runtime, threads: 1, readTokenizer });
    vocabulary = maskVocabulary(base.tokenizerJson)!;
  });
  afterAll(async () => {
    await runtime.close();
    await rm(folder, { recursive: true, force: true });
  });

  const train = (more: Partial<MaskedLmExpertRun> = {}, hooks: KeptRunHooks = {}): Promise<MaskedLmResult> =>
    trainMaskedLmExpert(
      {
        base,
        vocabulary,
        train: windows(GENERAL, 60, 1),
        validation: windows(GENERAL, 20, 2),
        test: windows(GENERAL, 20, 3),
        settings: {
          ...HYPER_PARAMETERS.lora,
          epochs: 4,
          rate: 1e-2,
          headRate: 1e-2,
          rowsPerBatch: 8,
          rank: 4,
          alpha: 4,
        },
        seed: 3,
        facts: {
          name: 'words',
          version: '1',
          description: 'Fills masked words.',
          licence: 'CC0-1.0',
          trainingData: [{ name: 'made', licence: 'CC0-1.0', origin: 'this test', rows: 60 }],
          seed: 3,
          date: '2026-01-01',
        },
        datasets: { validation: 'made', test: 'made' },
        ...more,
      },
      hooks,
    );
  const written = async (name: string, result: MaskedLmResult) => {
    if (result.kind !== 'finished') throw new Error('The run was interrupted.');
    await writeBundle(join(folder, name), result.manifest, result.files);
    return openBundle(join(folder, name));
  };
  const meanLoss = async (name: string, rows: readonly (readonly number[])[]) => {
    const model = await openMaskedLm(await openBundle(join(folder, name)), base, vocabulary);
    const losses = await model.rowLosses(rows);
    await model.release();
    const total = (of: 'nats' | 'pieces') => losses.reduce((sum, row) => sum + row[of], 0);
    return { loss: total('nats') / total('pieces'), pieces: total('pieces') };
  };

  it('are written, read and measured as the manifest says; every word is hidden once', async () => {
    const losses: number[] = [];
    const onEvent: KeptRunHooks['onEvent'] = (event) => {
      if (event.kind === 'validation') losses.push(event.figures['logLoss']!);
    };
    const { manifest } = await written('general', await train({}, { onEvent }));
    const [validation, test] = manifest.evaluation;
    const rows = windows(GENERAL, 20, 3);
    const again = await meanLoss('general', rows);
    expect(manifest).toMatchObject({ kind: 'lowrank', task: 'fill-mask', base: { digest: base.digest } });
    expect(validation).toMatchObject({ split: 'validation', metric: MASKED_LOG_LOSS });
    expect(again.loss).toBeCloseTo(test!.value, 4);
    expect(again.pieces).toBe(rows.flat().length - 2 * rows.length);
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.1);
  });

  it('go on from another one, and are better on their own text', async () => {
    await written('general', await train());
    const start = await readMaskedLm(await openBundle(join(folder, 'general')), base);
    const own = { train: windows(OWN, 60, 5), validation: windows(OWN, 20, 6), test: windows(OWN, 20, 7) };
    await written('own', await train({ ...own, start }));
    expect((await meanLoss('own', own.test)).loss).toBeLessThan(
      (await meanLoss('general', own.test)).loss - 0.3,
    );
    expect((await meanLoss('general', windows(GENERAL, 20, 3))).loss).toBeLessThan(
      (await meanLoss('own', windows(GENERAL, 20, 3))).loss,
    );
  });

  it('are the same to the bit when the run was interrupted', async () => {
    const checkpointFile = join(folder, 'checkpoint.safetensors');
    const stop = new AbortController();
    const first = await train(
      {},
      {
        checkpointFile,
        signal: stop.signal,
        onEvent: (event) => {
          if (event.kind === 'step' && event.step === 11) stop.abort();
        },
      },
    );
    expect(first.kind).toBe('interrupted');
    const resumed = await written('resumed', await train({}, { checkpointFile }));
    expect(resumed.digest).toBe((await written('whole', await train())).digest);
    await expect(train({ seed: 4 }, { checkpointFile })).rejects.toThrow(/checkpoint of a run with other/);
  });

  it('refuse a start of another rank, and another base', async () => {
    const bundle = await written('general', await train());
    const start = await readMaskedLm(bundle, base);
    const settings = { ...HYPER_PARAMETERS.lora, rank: 2, alpha: 2 };
    await expect(train({ start, settings })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const other = { ...base, digest: `sha256:${'0'.repeat(64)}` as const };
    await expect(readMaskedLm(bundle, other)).rejects.toThrow(/stands on pico/);
    expect(PICO_CONFIG.hiddenSize).toBe(start.factors[0]!.inputs);
  });
});
