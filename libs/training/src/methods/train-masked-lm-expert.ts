import { digestOf } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { decodeFloat16, encodeFloat16 } from '@thalamus/tensor';
import { logUnigramFrequencies, type MaskVocabulary } from '../data/mask-tokens.js';
import { MASKED_LM_HEAD } from '../graphs/encoder-graph.js';
import { transposed } from '../graphs/fold-branches.js';
import { branchFactors, type LowRankBranch } from '../graphs/low-rank-branches.js';
import type { Parameters } from '../loop/adamw.js';
import type { TrainingBase } from '../training-base.port.js';
import type { UnwrittenBundle } from './expert-bundle.js';
import type { HyperParameters } from './hyper-parameters.js';
import { maskedLmBundle, withHead, type MaskedLmExpert, type MaskedLmFacts } from './masked-lm-bundle.js';
import { MaskedLmModel, type FixedMasks } from './masked-lm-model.js';
import { withStepProgress, type RunHooks } from './expert-run.js';
import { keptRun, resumableRun } from './resumable-run.js';
import { trainingFiles } from './training-files.js';
import { prepareMaskedLm, withMaskedLmHead, type PreparedMaskedLm } from './train-masked-lm.js';

/** Rows of token ids: windows of a text. */
export type Windows = readonly (readonly number[])[];

/** What is asked of a run. */
export interface MaskedLmExpertRun {
  readonly base: TrainingBase;
  readonly vocabulary: MaskVocabulary;
  readonly train: Windows;
  readonly validation: Windows;
  /** Judges the result; nothing is chosen by it. */
  readonly test: Windows;
  /** Branches and head that training begins with; without them branches of zero and a head that knows the frequencies. */
  readonly start?: MaskedLmExpert | undefined;
  readonly settings: HyperParameters;
  readonly seed: number;
  readonly facts: Omit<MaskedLmFacts, 'evaluation'>;
  /** What the measured rows are called. */
  readonly datasets: { readonly validation: string; readonly test: string };
}

/** How a run ended. */
export type MaskedLmResult =
  ({ readonly kind: 'finished' } & UnwrittenBundle) | { readonly kind: 'interrupted' };

/** What masked language models are judged by: four disjoint masks that hide every word once. */
export const JUDGING_MASKS = { share: 0.25, masks: 4, seed: 0 } as const;

/** Name of the figure: mean cross-entropy of a hidden word piece, nats. */
export const MASKED_LOG_LOSS = 'maskedLogLoss';

/**
 * Trains a masked language model as low-rank branches over a base, with a head of its own; the word embeddings, to which the
 * head is tied, stay. Equal input and machine, equal bytes; an interrupted run goes on from its checkpoint.
 * @throws DATASET_INVALID, TRAINING_DIVERGED, ARTIFACT_STORE_FULL; CONFIG_INVALID for a start of another rank or scale, or
 *   for a checkpoint of another run
 */
export async function trainMaskedLmExpert(
  run: MaskedLmExpertRun,
  hooks: RunHooks = {},
): Promise<MaskedLmResult> {
  const { base, vocabulary, settings, start, seed, facts } = run;
  const { weights, config } = base.read;
  const masks: FixedMasks = { vocabulary, ...JUDGING_MASKS };
  const prepared = prepareMaskedLm({
    config,
    weights: start
      ? withHead(weights, start.head)
      : withMaskedLmHead(weights, config.hiddenSize, logUnigramFrequencies(run.train, vocabulary.size), seed),
    runtime: base.runtime,
    threads: base.threads,
    method: 'lora',
    train: run.train,
    validation: run.validation,
    masks,
    settings,
    seed,
  });
  if (start) startBranches(prepared, start, settings);
  const key = runKey(run);
  const kept = keptRun(key, hooks);
  const { loop, events } = resumableRun(key, prepared.parameters, withStepProgress(hooks), { kept });
  const outcome = await prepared.run(loop);
  if (outcome.kind === 'interrupted') return { kind: 'interrupted' };
  for (const { data } of prepared.parameters.values()) data.set(decodeFloat16(encodeFloat16(data)));
  const names = new Set(prepared.parameters.keys());
  const model = await MaskedLmModel.open(base.runtime, prepared.model, names, base.threads);
  try {
    const row = async (split: 'validation' | 'test', windows: Windows) => {
      const { nats, pieces } = sum(await model.rowLosses(windows, masks, prepared.parameters, settings));
      const value = nats / Math.max(1, pieces);
      return {
        dataset: run.datasets[split],
        split,
        metric: MASKED_LOG_LOSS,
        value,
        n: Math.max(1, pieces),
        date: facts.date,
      };
    };
    const evaluation = [
      await row('validation', run.validation),
      ...(run.test.length > 0 ? [await row('test', run.test)] : []),
    ];
    const expert = expertOf(prepared, settings);
    const bundle = maskedLmBundle(expert, base, settings, outcome.state.optimiser.step, {
      ...facts,
      evaluation,
    });
    return {
      kind: 'finished',
      manifest: bundle.manifest,
      files: { ...bundle.files, ...trainingFiles(facts.name, events) },
    };
  } finally {
    await model.release();
  }
}

/** @throws CONFIG_INVALID unless rank, scale and layers are those of this run */
function startBranches(
  { parameters, branches }: PreparedMaskedLm,
  start: MaskedLmExpert,
  { rank, alpha }: HyperParameters,
) {
  const factors = new Map(start.factors.map((factor) => [factor.layer, factor]));
  for (const { layer, down, up, inputs, outputs } of branches) {
    const given = factors.get(layer);
    if (given?.rank !== rank || start.scale !== alpha / rank)
      throw new ThalamusError(
        'CONFIG_INVALID',
        `The start has rank ${given?.rank ?? 0} and scale ${start.scale} at ${layer}; this run has rank ${rank} and scale ${alpha / rank}. Give --rank and --alpha of the start.`,
      );
    parameters.get(down)!.data.set(transposed(given.a, rank, inputs));
    parameters.get(up)!.data.set(transposed(given.b, outputs, rank));
  }
}

function expertOf(
  { parameters, branches }: { readonly parameters: Parameters; readonly branches: readonly LowRankBranch[] },
  { rank, alpha }: HyperParameters,
): MaskedLmExpert {
  const value = (name: string) => parameters.get(name)!.data;
  return {
    scale: alpha / rank,
    factors: branchFactors(branches, parameters, rank),
    head: new Map(Object.values(MASKED_LM_HEAD).map((name) => [name, value(name)])),
  };
}

function sum(losses: readonly { readonly nats: number; readonly pieces: number }[]) {
  return losses.reduce((all, row) => ({ nats: all.nats + row.nats, pieces: all.pieces + row.pieces }), {
    nats: 0,
    pieces: 0,
  });
}

/** Everything that decides the result. */
function runKey({ base, train, validation, start, settings, seed }: MaskedLmExpertRun): string {
  const bytes = (values: Float32Array) => digestOf(new Uint8Array(values.slice().buffer));
  const began = start && [
    start.scale,
    ...start.factors.flatMap(({ layer, a, b }) => [layer, bytes(a), bytes(b)]),
    ...[...start.head].map(([name, values]) => [name, bytes(values)]),
  ];
  return digestOf(
    JSON.stringify([base.digest, 'masked-lm', settings, seed, train, validation, began ?? null]),
  );
}
