import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { TWIN_VALUES } from '@thalamus/model-merge';
import type { OnnxModel } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import type { MaskVocabulary } from '../data/mask-tokens.js';
import { maskedLmGraph } from '../graphs/encoder-graph.js';
import { foldBranches } from '../graphs/fold-branches.js';
import type { TrainingBase } from '../training-base.port.js';
import { readMaskedLm, withHead } from './masked-lm-bundle.js';
import { MaskedLmModel, type RowLoss } from './masked-lm-model.js';
import { openOwnGraph } from './own-graph.js';
import { JUDGING_MASKS, type Windows } from './train-masked-lm-expert.js';

/** A masked language model that is ready to be measured. */
export interface OpenedMaskedLm {
  /** Losses of windows under the judging masks, which are the same for every model: four disjoint ones, every word hidden once. */
  rowLosses(windows: Windows, onRows?: (done: number) => void): Promise<RowLoss[]>;
  release(): Promise<void>;
}

/** Leaves the parents of a composed model to its router. */
const OPEN_TASK = {
  [TWIN_VALUES.task]: (rows: number) => tensor('int64', [rows], new BigInt64Array(rows).fill(-1n)),
};
const LIMITS = { rowsPerBatch: 16, tokensPerBatch: 2_048 };

/**
 * Opens a bundle for fill-mask: `lowrank` over the base that it names, or `full` or `twin`, which stand alone and share the
 * tokenizer (the router of a `twin` chooses): losses for a word piece of another one would not compare. Branches are folded into float32 weights.
 * @throws BUNDLE_INVALID for a bundle over another base, METHOD_UNSUPPORTED for another kind, task or tokenizer
 */
export async function openMaskedLm(
  bundle: OpenedBundle<ExpertManifest>,
  base: TrainingBase,
  vocabulary: MaskVocabulary,
): Promise<OpenedMaskedLm> {
  const { runtime, threads } = base;
  const { kind, task } = bundle.manifest;
  const standsAlone = (kind === 'full' || kind === 'twin') && task === 'fill-mask';
  if (standsAlone) await requireTokenizer(bundle, base);
  const model = standsAlone
    ? MaskedLmModel.of(await openOwnGraph(bundle, base, kind === 'twin' ? OPEN_TASK : {}))
    : await MaskedLmModel.open(runtime, await foldedGraph(bundle, base), new Set(), threads);
  return {
    rowLosses: (windows, onRows) =>
      model.rowLosses(windows, { vocabulary, ...JUDGING_MASKS }, new Map(), LIMITS, onRows),
    release: () => model.release(),
  };
}

/** @throws METHOD_UNSUPPORTED when the model does not read texts by the tokenizer of the base */
export async function requireTokenizer(
  bundle: OpenedBundle<ExpertManifest>,
  base: TrainingBase,
): Promise<void> {
  const own = await bundle.readFile('tokenizer.json');
  if (Buffer.compare(own, base.tokenizerJson) === 0) return;
  throw new ThalamusError(
    'METHOD_UNSUPPORTED',
    `${bundle.manifest.name} reads texts by another tokenizer.json than ${base.manifest.name}, by whose word pieces models are compared; name a base with the same one with --base.`,
  );
}

/** Graph of a low-rank model with its branches in float32 weights. @throws BUNDLE_INVALID, METHOD_UNSUPPORTED */
export async function foldedGraph(
  bundle: OpenedBundle<ExpertManifest>,
  base: TrainingBase,
): Promise<OnnxModel> {
  const { factors, scale, head } = await readMaskedLm(bundle, base);
  const weights = foldBranches(base.read.weights, factors, scale);
  return maskedLmGraph(base.read.config, withHead(weights, head));
}
