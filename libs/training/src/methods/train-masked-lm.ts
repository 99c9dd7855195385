import { writeDivergence } from '@thalamus/autodiff';
import { ThalamusError } from '@thalamus/errors';
import { graphOf, type BertConfig, type OnnxModel, type Weights } from '@thalamus/onnx-graph';
import { createRandom, tensor, type TensorOf } from '@thalamus/tensor';
import { maskTokens, type MaskedRow, type MaskVocabulary } from '../data/mask-tokens.js';
import { mixSeed } from '../data/mix-seed.js';
import { trainingBatches } from '../data/token-batches.js';
import { MASKED_LM_HEAD, maskedLmGraph } from '../graphs/encoder-graph.js';
import { crossEntropy, GradientSession, type WriteLoss } from '../graphs/gradient-session.js';
import { addLowRankBranches, type LowRankBranch } from '../graphs/low-rank-branches.js';
import { parametersOf } from '../graphs/with-inputs.js';
import type { Parameters } from '../loop/adamw.js';
import { trainLoop, type LoopHooks, type TrainingOutcome } from '../loop/train-loop.js';
import type { GraphRuntime } from '../training-base.port.js';
import { parameterFeeds } from './classifier-model.js';
import type { HyperParameters } from './hyper-parameters.js';
import { MaskedLmModel, maskedFeeds, type FixedMasks } from './masked-lm-model.js';

/** What a masked language model is trained on. */
export interface MaskedLmRun {
  readonly config: BertConfig;
  /** Of the encoder and of the head: see `withMaskedLmHead`. */
  readonly weights: Weights;
  readonly runtime: GraphRuntime;
  readonly threads: number;
  /** `lora` trains branches beside the linear layers and the head, the word embeddings stay; `full` everything. */
  readonly method: 'lora' | 'full';
  /** Windows of token ids. */
  readonly train: readonly (readonly number[])[];
  readonly validation: readonly (readonly number[])[];
  /** Masks of the validation; those of the training hide the same share, drawn for each pass anew. */
  readonly masks: FixedMasks;
  readonly settings: HyperParameters;
  readonly seed: number;
  /** Whom the model learns from beside the hidden tokens. */
  readonly teacher?: Teacher | undefined;
}

/** A model with the same vocabulary that is learned from (Hinton et al. 2015, section 2). */
export interface Teacher {
  readonly model: Pick<MaskedLmModel, 'logits'>;
  /** Both sides are softened by it. */
  readonly temperature: number;
  /** Share of the loss that is the divergence from the teacher; the rest is the cross-entropy of the hidden tokens. */
  readonly share: number;
}

/** A masked language model that is set up. */
export interface PreparedMaskedLm {
  readonly model: OnnxModel;
  /** Changed while it is trained; after `run` the best ones. */
  readonly parameters: Parameters;
  readonly branches: readonly LowRankBranch[];
  /** Trains to the end or to an interruption; `state.best` is set into `parameters` at the end. @throws TRAINING_DIVERGED */
  run(hooks: LoopHooks): Promise<TrainingOutcome>;
}

/**
 * Weights with a masked-LM head that has not learned yet: Dense with a small random deviation from the identity, LayerNorm
 * of one and zero, and a bias for each token, such as `logUnigramFrequencies`.
 */
export function withMaskedLmHead(
  weights: Weights,
  hiddenSize: number,
  bias: Float32Array,
  seed: number,
): Weights {
  const random = createRandom(mixSeed(seed, 2));
  const dense = Float32Array.from({ length: hiddenSize * hiddenSize }, () => 0.02 * random.normal());
  for (let i = 0; i < hiddenSize; i++) dense[i * hiddenSize + i]! += 1;
  const vector = (value: number) => tensor('float32', [hiddenSize], new Float32Array(hiddenSize).fill(value));
  return new Map<string, TensorOf<'float32'>>([
    ...weights,
    [MASKED_LM_HEAD.dense, tensor('float32', [hiddenSize, hiddenSize], dense)],
    [MASKED_LM_HEAD.denseBias, vector(0)],
    [MASKED_LM_HEAD.gain, vector(1)],
    [MASKED_LM_HEAD.shift, vector(0)],
    [MASKED_LM_HEAD.bias, tensor('float32', [bias.length], bias)],
  ]);
}

/** Sets up masked-LM training; see `PreparedMaskedLm`. @throws DATASET_INVALID without windows */
export function prepareMaskedLm(run: MaskedLmRun): PreparedMaskedLm {
  if (run.train.length === 0 || run.validation.length === 0)
    throw new ThalamusError(
      'DATASET_INVALID',
      `There are ${run.train.length} windows to train on and ${run.validation.length} to validate with; give more text.`,
    );
  const plain = maskedLmGraph(run.config, run.weights);
  const { model, branches } =
    run.method === 'lora'
      ? addLowRankBranches(plain, { ...run.settings, random: createRandom(mixSeed(run.seed, 1)) })
      : { model: plain, branches: [] };
  const names = trainableNames(model, branches);
  const parameters = parametersOf(model, names);
  return { model, parameters, branches, run: (hooks) => train(run, model, names, parameters, hooks) };
}

async function train(
  run: MaskedLmRun,
  model: OnnxModel,
  names: ReadonlySet<string>,
  parameters: Parameters,
  hooks: LoopHooks,
): Promise<TrainingOutcome> {
  const { runtime, threads, settings, masks, seed } = run;
  const { teacher } = run;
  const writeLoss = teacher && distillation(teacher);
  const gradients = await GradientSession.open(runtime, model, names, threads, writeLoss);
  const forward = await MaskedLmModel.open(runtime, model, names, threads);
  const lengths = run.train.map(({ length }) => length);
  try {
    const outcome = await trainLoop(
      {
        parameters,
        groupOf: groups(settings),
        batchesOf: (epoch) => trainingBatches(lengths, { ...settings, seed, epoch }),
        computeBatch: async (rows, epoch) => {
          const hidden = rows.map((row) =>
            hide(run.train[row]!, masks.vocabulary, masks.share, mixSeed(seed, 3, epoch, row)),
          );
          const items = hidden.reduce((sum, { positions }) => sum + positions.length, 0);
          if (items === 0) return { loss: 0, items, gradients: new Map() };
          const feeds = { ...maskedFeeds(hidden), ...(teacher && (await softTargets(teacher, hidden))) };
          return { ...(await gradients.compute(feeds, parameterFeeds(parameters))), items };
        },
        tokensOf: (row) => lengths[row]!,
        validate: async () => {
          const loss = await forward.meanLoss(run.validation, masks, parameters, settings);
          return { score: [-loss], figures: { logLoss: loss } };
        },
      },
      settings,
      hooks,
    );
    if (outcome.kind !== 'interrupted')
      for (const [name, values] of outcome.state.best ?? []) parameters.get(name)!.data.set(values);
    return outcome;
  } finally {
    await gradients.release();
    await forward.release();
  }
}

const TEACHER = 'teacher';

/** share * divergence from the teacher + (1 - share) * cross-entropy, nats. */
function distillation({ temperature, share }: Teacher): WriteLoss {
  return (builder, logits) => {
    const soft = builder.input(TEACHER, 'float32', ['items', 'classes']);
    const factor = (name: string, value: number) =>
      builder.constant(name, tensor('float32', [], new Float32Array([value])));
    const weighted = (name: string, loss: string, weight: number) =>
      builder.node('Mul', [loss, factor(`loss/${name}_share`, weight)], { name: `loss/${name}` });
    const learned = weighted('teacher', writeDivergence(builder, logits, soft, { temperature }), share);
    const known = weighted('labels', crossEntropy(builder, logits), 1 - share);
    return builder.node('Add', [learned, known], { name: 'loss/distillation' });
  };
}

/** Probabilities of the teacher at the hidden places, softened. */
async function softTargets({ model, temperature }: Teacher, hidden: readonly MaskedRow[]) {
  const { shape, data } = await model.logits(hidden);
  const [places = 0, size = 0] = shape;
  const soft = new Float32Array(data.length);
  for (let place = 0; place < places; place++) {
    const row = data.subarray(place * size, (place + 1) * size);
    let largest = -Infinity;
    for (const value of row) largest = Math.max(largest, value);
    let sum = 0;
    for (let at = 0; at < size; at++) sum += Math.exp((row[at]! - largest) / temperature);
    for (let at = 0; at < size; at++)
      soft[place * size + at] = Math.exp((row[at]! - largest) / temperature) / sum;
  }
  return { [TEACHER]: tensor('float32', shape, soft) };
}

const hide = (ids: readonly number[], vocabulary: MaskVocabulary, share: number, seed: number) =>
  maskTokens(ids, vocabulary, { share, seed });

function trainableNames(model: OnnxModel, branches: readonly LowRankBranch[]): ReadonlySet<string> {
  if (branches.length > 0)
    return new Set([...branches.flatMap(({ down, up }) => [down, up]), ...Object.values(MASKED_LM_HEAD)]);
  const isWeight = (name: string) => /^(embeddings|encoder|cls)\..*(weight|bias)$/.test(name);
  return new Set(
    graphOf(model)
      .initializer.map(({ name }) => name)
      .filter(isWeight),
  );
}

/** The head has a rate of its own, the word embeddings one and a half times the encoder's; vectors do not decay. */
function groups({ rate, headRate, decay }: HyperParameters) {
  return (name: string) => {
    const isVector = name.endsWith('.bias') || name.includes('LayerNorm');
    const own = name.startsWith('cls.') ? headRate / rate : 1;
    const rateFactor = name === 'embeddings.word_embeddings.weight' ? 1.5 : own;
    return { rateFactor, decay: isVector ? 0 : decay };
  };
}
