import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { PICO_CONFIG, picoId, picoTokenizer, picoWeights } from '@thalamus/testing';
import { createRandom } from '@thalamus/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { logUnigramFrequencies, maskVocabulary, type MaskedRow } from '../data/mask-tokens.js';
import type { Parameters } from '../loop/adamw.js';
import { parameterFeeds } from './classifier-model.js';
import { HYPER_PARAMETERS } from './hyper-parameters.js';
import { MaskedLmModel } from './masked-lm-model.js';
import { prepareMaskedLm, withMaskedLmHead, type MaskedLmRun } from './train-masked-lm.js';

describe('masked-LM training on a small encoder', () => {
  const runtime = new OrtRuntime();
  const vocabulary = maskVocabulary(picoTokenizer())!;
  afterAll(() => runtime.close());

  /** Sentences in which each word decides the next one. */
  const windows = (count: number, seed: number) => {
    const random = createRandom(seed);
    const chains = ['the card lost my money', 'please block it hello world', 'law court the law court'];
    return Array.from({ length: count }, () => {
      const words = `${chains[random.below(3)]!} ${chains[random.below(3)]!}`.split(' ');
      return [picoId('[CLS]'), ...words.map(picoId), picoId('[SEP]')];
    });
  };
  const train = windows(80, 1);
  const run = (method: MaskedLmRun['method']): MaskedLmRun => ({
    config: PICO_CONFIG,
    weights: withMaskedLmHead(
      picoWeights(),
      PICO_CONFIG.hiddenSize,
      logUnigramFrequencies(train, vocabulary.size),
      0,
    ),
    runtime,
    threads: 1,
    method,
    train,
    validation: windows(20, 2),
    masks: { vocabulary, share: 0.25, masks: 4, seed: 7 },
    settings: {
      ...HYPER_PARAMETERS.full,
      epochs: 8,
      rate: 5e-3,
      headRate: 1e-2,
      rowsPerBatch: 8,
      rank: 4,
      alpha: 4,
    },
    seed: 3,
  });

  it('knows the special tokens and the pieces of the tokenizer', async () => {
    const [row] = await Tokenizer.parse(picoTokenizer()).encode(['card zz'], 32);
    expect(vocabulary.maskId).toBe(picoId('[MASK]'));
    expect([...row!.ids].map((id) => vocabulary.specialIds.has(id))).toEqual([
      true,
      false,
      false,
      false,
      true,
    ]);
    expect(vocabulary.isContinuation(row!.ids[3]!)).toBe(true);
    expect(vocabulary.isContinuation(row!.ids[1]!)).toBe(false);
  });

  it.each(['full', 'lora'] as const)(
    '%s lowers the loss under fixed masks; twice the same bits',
    async (method) => {
      const losses: number[] = [];
      const first = prepareMaskedLm(run(method));
      const outcome = await first.run({
        onEvent: (event) => {
          if (event.kind === 'validation') losses.push(event.figures['logLoss']!);
        },
      });
      expect(outcome.kind).not.toBe('interrupted');
      expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.1);
      const second = prepareMaskedLm(run(method));
      await second.run({});
      expect([...second.parameters]).toEqual([...first.parameters]);
    },
  );

  it('learns from a teacher: with nothing but its answers the student comes near its loss', async () => {
    const taught = prepareMaskedLm(run('full'));
    await taught.run({});
    const names = new Set(taught.parameters.keys());
    const opened = await MaskedLmModel.open(runtime, taught.model, names, 1);
    const loss = (model: MaskedLmModel, parameters: Parameters) =>
      model.meanLoss(run('full').validation, run('full').masks, parameters, HYPER_PARAMETERS.full);
    const answers = {
      logits: (hidden: readonly MaskedRow[]) => opened.logits(hidden, parameterFeeds(taught.parameters)),
    };
    const student = prepareMaskedLm({
      ...run('full'),
      teacher: { model: answers, temperature: 2, share: 1 },
    });
    const untaught = await loss(opened, student.parameters);
    await student.run({});
    const [reached, teacher] = [
      await loss(opened, student.parameters),
      await loss(opened, taught.parameters),
    ];
    await opened.release();
    expect(teacher).toBeLessThan(untaught - 0.1);
    expect(untaught - reached).toBeGreaterThan(0.7 * (untaught - teacher));
  });

  it('refuses to start without windows', () => {
    expect(() => prepareMaskedLm({ ...run('full'), train: [] })).toThrow(/0 windows to train on/);
  });
});
