import { ThalamusError } from '@thalamus/errors';
import { decodeModel } from '@thalamus/onnx-graph';
import { asFloat32, logSumExp } from '@thalamus/tensor';
import { createHash } from 'node:crypto';
import { maskTokens, type MaskedRow, type MaskVocabulary } from '../data/mask-tokens.js';
import { mixSeed } from '../data/mix-seed.js';
import { evaluationBatches } from '../data/token-batches.js';
import { maskedLmGraph, readMaskedLmGraph } from '../graphs/encoder-graph.js';
import { PLACE_LOSSES, withPlaceLosses } from '../graphs/place-losses.js';
import { maskedFeeds, MaskedLmModel } from '../methods/masked-lm-model.js';
import { foldedGraph, requireTokenizer } from '../methods/open-masked-lm.js';
import { openOwnGraph } from '../methods/own-graph.js';
import type { TrainingBase } from '../training-base.port.js';
import type { MeasuredExpert, PromptLoss } from './measured-expert.js';
import { resultsOrNone } from './results-or-none.js';
import type { MaskSettings, MeasuredBundle } from './table-run.js';

/** Rows of a batch: larger ones are slower, since what a layer works on leaves the cache. */
const LIMITS = { rowsPerBatch: 32, tokensPerBatch: 1024 };

/** Cross-entropy of each hidden place of masked rows, nats, in the order of rows and places. */
type PlaceLosses = (rows: readonly MaskedRow[]) => Promise<ArrayLike<number>>;

/** What masked prompts are made with. */
export interface MaskingTools {
  readonly base: TrainingBase;
  readonly vocabulary: MaskVocabulary;
  readonly masking: MaskSettings;
}

/**
 * Opens a masked language model to measure prompts: the mean over the masks of the mean cross-entropy of a hidden word piece, nats. The
 * masks are the same for every expert. No result: a prompt without a word piece, one with more tokens than the expert reads, or one that
 * its graph fails on.
 */
export async function openMaskedMeasure(
  bundle: MeasuredBundle,
  { base, vocabulary, masking }: MaskingTools,
): Promise<MeasuredExpert> {
  const { losses, release } = await openPlaceLosses(bundle, base);
  const { maxTokens } = bundle.manifest;
  return {
    measure: async (prompts) => {
      const encoded = await base.tokens.encode(
        prompts.map(({ text }) => text),
        masking.maxTokens,
      );
      const rows = encoded.flatMap(({ ids }, prompt) =>
        ids.length > maxTokens ? [] : masksOf([...ids], vocabulary, masking).map((row) => ({ row, prompt })),
      );
      const means = await meansOf(
        rows.map(({ row }) => row),
        losses,
      );
      const own = prompts.map((): (number | null)[] => []);
      rows.forEach(({ prompt }, at) => own[prompt]!.push(means[at]!));
      return own.map((masks): PromptLoss => ({ loss: meanOf(masks), masks }));
    },
    release,
  };
}

/** The masks of a row that hide something; the seed is drawn from its tokens. */
function masksOf(ids: number[], vocabulary: MaskVocabulary, masking: MaskSettings): MaskedRow[] {
  const { masks, share } = masking;
  const drawn = createHash('sha256')
    .update(new Uint8Array(Uint32Array.from(ids).buffer))
    .digest()
    .readUInt32LE();
  const seed = mixSeed(masking.seed, drawn);
  return Array.from({ length: masks }, (_, part) =>
    maskTokens(ids, vocabulary, { share, seed, part, always: true, wholeWords: false }),
  ).filter(({ positions }) => positions.length > 0);
}

/** Mean loss of the places of each row; null where the graph fails on the row, or gives what is no finite number. */
async function meansOf(rows: readonly MaskedRow[], losses: PlaceLosses): Promise<(number | null)[]> {
  const means = rows.map((): number | null => null);
  const lengths = rows.map(({ ids }) => ids.length);
  for (const batch of evaluationBatches(lengths, LIMITS)) {
    const values = await resultsOrNone(
      batch.map((at) => rows[at]!),
      async (together) => byRow(together, Array.from(await losses(together))),
    );
    batch.forEach((at, index) => {
      const own = values[index] ?? [];
      const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
      // Rounding may take a certain word below zero.
      means[at] = Number.isFinite(mean) ? Math.max(0, mean) : null;
    });
  }
  return means;
}

function byRow(rows: readonly MaskedRow[], values: readonly number[]): number[][] {
  let from = 0;
  return rows.map(({ positions }) => values.slice(from, (from += positions.length)));
}

function meanOf(masks: readonly (number | null)[]): number | null {
  if (masks.length === 0 || masks.includes(null)) return null;
  return masks.reduce<number>((sum, mask) => sum + mask!, 0) / masks.length;
}

/**
 * Branches are folded into the weights of the base, and weights that this product has stored as int8 are read once, so that no run pays
 * for either; the losses are taken inside the graph. A graph made elsewhere runs as it is.
 */
async function openPlaceLosses(
  bundle: MeasuredBundle,
  base: TrainingBase,
): Promise<{ readonly losses: PlaceLosses; readonly release: () => Promise<void> }> {
  const { runtime, threads } = base;
  const graph =
    bundle.manifest.kind === 'full' ? await ownGraph(bundle, base) : await foldedGraph(bundle, base);
  if (!graph) return foreignLosses(bundle, base);
  const session = await runtime.load({ bytes: withPlaceLosses(graph) }, { threads });
  return {
    losses: async (rows) => {
      const outputs = await session.run(maskedFeeds(rows), { outputs: [PLACE_LOSSES] });
      return asFloat32(outputs[PLACE_LOSSES], PLACE_LOSSES).data;
    },
    release: () => session.release(),
  };
}

async function ownGraph(bundle: MeasuredBundle, base: TrainingBase) {
  await requireTokenizer(bundle, base);
  try {
    const { config, weights } = readMaskedLmGraph(decodeModel(await bundle.readFile('model.onnx')));
    return maskedLmGraph(config, weights);
  } catch (fault) {
    if (ThalamusError.is(fault) && fault.code === 'GRAPH_INVALID') return undefined;
    throw fault;
  }
}

async function foreignLosses(bundle: MeasuredBundle, base: TrainingBase) {
  const model = MaskedLmModel.of(await openOwnGraph(bundle, base));
  const losses: PlaceLosses = async (rows) => {
    const { shape, data } = await model.logits(rows);
    const words = shape[1]!;
    return rows
      .flatMap(({ labels }) => labels)
      .map((label, at) => {
        const scores = Float64Array.from(data.subarray(at * words, (at + 1) * words));
        return logSumExp(scores) - scores[label]!;
      });
  };
  return { losses, release: () => model.release() };
}
