import { ThalamusError } from '@thalamus/errors';
import {
  fitTokenRouter,
  routerLogits,
  softmaxInPlace,
  type RouterRow,
  type RouterScore,
  type TokenRouter,
} from '@thalamus/model-merge';
import { buildBertEncoder, encodeModel, WORDS, type BertConfig, type Weights } from '@thalamus/onnx-graph';
import { asFloat32, createRandom } from '@thalamus/tensor';
import {
  evaluationBatches,
  normalised,
  sphericalKMeans,
  tokenFeeds,
  type GraphRuntime,
  type TextTokens,
} from '@thalamus/training';

/** Texts that belong to a parent's task. */
export interface TaskTexts {
  /** Texts that the router is fitted to. */
  readonly train: readonly string[];
  /** Texts that choose; part of the training texts is held out where there are none. */
  readonly validation: readonly string[];
  /** Texts that judge: none of them is fitted to or chosen by. */
  readonly test: readonly string[];
}

/** How a router is fitted. */
export interface RouterSettings {
  /** 2: it reads the vector of the shared expert as well, which the encoder is run twice for. */
  readonly passes: 1 | 2;
  /** Most training texts of a parent. */
  readonly rowsPerParent: number;
  /** Places for pairs of tokens. */
  readonly buckets: number;
  readonly epochs: number;
  readonly rate: number;
  /** Weight vectors that texts share; 0: every text has its own. */
  readonly groups: number;
  /** Share of the validation texts that are covered; the rest sets the threshold of `abstain`. */
  readonly coverage: number;
}

/** Default settings, chosen on validation texts of the zoo's sets. */
export const ROUTER_DEFAULTS: RouterSettings = {
  passes: 1,
  rowsPerParent: 5_500,
  buckets: 65_536,
  epochs: 8,
  rate: 0.5,
  groups: 0,
  coverage: 0.98,
};

/** What a router is fitted with. */
export interface RouterParts {
  readonly shared: Weights;
  readonly config: BertConfig;
  readonly tokens: TextTokens;
  readonly maxTokens: number;
  readonly runtime: GraphRuntime;
  readonly threads: number;
  readonly seed: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A fitted router. */
export interface FittedRouter {
  readonly router: TokenRouter;
  readonly validation: RouterScore & { readonly n: number };
  readonly abstainBelow: number;
  readonly groups: Float32Array | undefined;
  /** Training texts of each parent that it was fitted to. */
  readonly rows: readonly number[];
}

/** Share of the training texts that choose, where there are no others. */
const HELD_OUT = 0.15;
const LEAST_ROWS = 20;

/**
 * Fits the router of a composition to texts of the parents' tasks (Twin-Merging, arXiv 2406.15479, section 3.2: the task of a text
 * is its label). Texts of a test or validation split of any task, in whatever case and spacing, are never among them.
 * @throws DATASET_INVALID for a parent with too few texts
 */
export async function fitRouter(
  tasks: ReadonlyMap<string, TaskTexts>,
  settings: RouterSettings,
  parts: RouterParts,
): Promise<FittedRouter> {
  const split = splitTexts(tasks, settings.rowsPerParent, parts.seed);
  const train = await rowsOf(
    split.map((each) => each.train),
    settings.passes,
    parts,
  );
  const validation = await rowsOf(
    split.map((each) => each.validation),
    settings.passes,
    parts,
  );
  const fitted = fitRows({ train, validation, parents: tasks.size }, settings, parts);
  return { ...fitted, rows: split.map((each) => each.train.length) };
}

/** Rows of token ids that a router is fitted to, and those that choose. */
export interface FittingRows {
  readonly train: readonly RouterRow[];
  readonly validation: readonly RouterRow[];
  readonly parents: number;
}

/** Fits a router to rows of token ids. */
export function fitRows(
  { train, validation, parents }: FittingRows,
  settings: RouterSettings,
  parts: Pick<RouterParts, 'shared' | 'seed' | 'onProgress'>,
): Omit<FittedRouter, 'rows'> {
  const { router, score } = fitTokenRouter(train, {
    parents,
    embeddings: parts.shared.get(WORDS)!,
    validation,
    buckets: settings.buckets,
    epochs: settings.epochs,
    rate: settings.rate,
    seed: parts.seed,
    onEpoch: (done, total) => parts.onProgress?.(done, total),
  });
  const weights = validation.map(({ ids, vector }) => softmaxInPlace(routerLogits(router, ids, vector)));
  return {
    router,
    validation: { ...score, n: validation.length },
    abstainBelow: quantile(
      weights.map((row) => Math.max(...row)),
      1 - settings.coverage,
    ),
    groups: settings.groups > 0 ? groupsOf(weights, settings.groups, parts.seed) : undefined,
  };
}

function splitTexts(tasks: ReadonlyMap<string, TaskTexts>, most: number, seed: number) {
  const keysOf = (split: 'test' | 'validation') =>
    [...tasks.values()].flatMap((task) => task[split].map(normalised));
  const judging = new Set(keysOf('test'));
  const held = new Set([...judging, ...keysOf('validation')]);
  const without = (keys: ReadonlySet<string>, texts: readonly string[]) =>
    [...new Map(texts.map((text) => [normalised(text), text]))]
      .filter(([key]) => !keys.has(key))
      .map(([, text]) => text);
  return [...tasks].map(([name, { train, validation }], at) => {
    const all = createRandom(seed + at + 1).shuffle(without(held, train));
    if (all.length < LEAST_ROWS)
      throw new ThalamusError(
        'DATASET_INVALID',
        `${name} has ${all.length} training texts that are in no test or validation split; a router needs ${LEAST_ROWS} of each parent. Register more, or name a file with --data.`,
      );
    const chosen = without(judging, validation);
    const cut = chosen.length > 0 ? 0 : Math.ceil(HELD_OUT * all.length);
    return { train: all.slice(cut, cut + most), validation: cut > 0 ? all.slice(0, cut) : chosen };
  });
}

async function rowsOf(
  texts: readonly (readonly string[])[],
  passes: 1 | 2,
  parts: RouterParts,
): Promise<RouterRow[]> {
  const flat = texts.flatMap((own, parent) => own.map((text) => ({ text, parent })));
  const encoded = await parts.tokens.encode(
    flat.map(({ text }) => text),
    parts.maxTokens,
  );
  const ids = encoded.map((row) => row.ids);
  const vectors = passes === 2 ? await sharedVectors(ids, parts) : undefined;
  return flat.map(({ parent }, at) => ({ parent, ids: ids[at] ?? [], vector: vectors?.[at] }));
}

const LIMITS = { rowsPerBatch: 32, tokensPerBatch: 2_048 };

/** Vectors of the shared expert, float32 [width] each. */
async function sharedVectors(
  ids: readonly (readonly number[])[],
  parts: RouterParts,
): Promise<Float32Array[]> {
  const encoder = buildBertEncoder(parts.config, parts.shared, { kind: 'float32' });
  const session = await parts.runtime.load({ bytes: encodeModel(encoder) }, { threads: parts.threads });
  try {
    const result = new Array<Float32Array>(ids.length);
    const lengths = ids.map(({ length }) => length);
    for (const rows of evaluationBatches(lengths, LIMITS)) {
      const outputs = await session.run(tokenFeeds(ids, rows), { outputs: ['embedding'] });
      const { data } = asFloat32(outputs['embedding'], 'embedding');
      const width = data.length / rows.length;
      rows.forEach((row, at) => (result[row] = data.slice(at * width, (at + 1) * width)));
    }
    return result;
  } finally {
    await session.release();
  }
}

/** Value below which a share of the values lies. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  // What is left of a share, such as 1 - 0.9, may be a bit less than it is meant to be.
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length + 1e-9))] ?? 0;
}

/** Means of weights that are alike: float32 [groups, parents] (group-wise merging, section 3.3 of the paper); fewer where fewer are found. */
function groupsOf(weights: readonly Float64Array[], groups: number, seed: number): Float32Array {
  const parents = weights[0]?.length ?? 0;
  const units = Float32Array.from(
    weights.flatMap((row) => [...row].map((value) => value / Math.hypot(...row))),
  );
  const centres = sphericalKMeans(units, parents, Math.min(groups, weights.length), seed);
  const nearest = (row: Float64Array) => {
    const nearness = Array.from({ length: centres.length / parents }, (_, group) =>
      row.reduce((sum, value, k) => sum + value * centres[group * parents + k]!, 0),
    );
    return nearness.indexOf(Math.max(...nearness));
  };
  // A centre that no row is near has no mean: weights of zero would be those of no parent.
  const means = [...Map.groupBy(weights, nearest).values()].map((rows) =>
    Array.from({ length: parents }, (_, k) => rows.reduce((sum, row) => sum + row[k]!, 0) / rows.length),
  );
  return Float32Array.from(means.flat());
}
