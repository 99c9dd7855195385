import type { LossHeads, SingleLossHeads } from './loss-heads.js';
import { PROMPT_FEATURES } from './prompt-features.js';
import type { FeatureBlock, FeatureSpec } from './router-features.js';

/** A tensor of a file of a router model. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** How it is stored; values of `float16` have been rounded to it already. */
  readonly precision: 'float32' | 'float16';
}

/** Reads a tensor by name; a size of -1 fits any. Throws when it is absent or of another shape. */
export type ReadTensor = (name: string, shape: readonly number[]) => Float32Array;

/** What the manifest says of heads that are no average. */
export interface SingleHeadFacts {
  readonly kind: SingleLossHeads['kind'];
  /** Width of the hidden layer of `mlp`, number of gates of `gated`, width of the projection of `nearest`. */
  readonly hidden?: number | undefined;
  /** Of `nearest`. */
  readonly neighbours?: number | undefined;
  /** Of `nearest`. */
  readonly temperature?: number | undefined;
}

/** What the manifest says of the heads. */
export interface HeadFacts extends Omit<SingleHeadFacts, 'kind'> {
  readonly kind: LossHeads['kind'];
  /** Of `average`. */
  readonly parts?: readonly (SingleHeadFacts & { readonly share: number })[] | undefined;
}

/** Sizes of a router model. */
interface Sizes {
  readonly dimension: number;
  readonly candidates: number;
}

/** Heads from the tensors of their file. @throws what `read` throws */
export function headsFromTensors(facts: HeadFacts, sizes: Sizes, read: ReadTensor): LossHeads {
  if (facts.kind !== 'average')
    return single({ ...facts, kind: facts.kind }, sizes, (name, shape) => read(`heads.${name}`, shape));
  const parts = (facts.parts ?? []).map((part, at) => ({
    share: part.share,
    heads: single(part, sizes, (name, shape) => read(`heads.${at}.${name}`, shape)),
  }));
  return { kind: 'average', dimension: sizes.dimension, parts };
}

function single(facts: SingleHeadFacts, { dimension, candidates }: Sizes, read: ReadTensor): SingleLossHeads {
  const hidden = facts.hidden ?? 0;
  switch (facts.kind) {
    case 'linear':
      return {
        kind: 'linear',
        dimension,
        weights: read('weight', [candidates, dimension]),
        bias: read('bias', [candidates]),
      };
    case 'gated':
      return {
        kind: 'gated',
        dimension,
        gateWeights: read('gate.weight', [hidden, dimension]),
        gateBias: read('gate.bias', [hidden]),
        weights: read('weight', [candidates, hidden + dimension]),
        bias: read('bias', [candidates]),
      };
    case 'mlp':
      return {
        kind: 'mlp',
        dimension,
        hiddenWeights: read('hidden.weight', [hidden, dimension]),
        hiddenBias: read('hidden.bias', [hidden]),
        weights: read('weight', [candidates, hidden]),
        bias: read('bias', [candidates]),
      };
    case 'nearest':
      return {
        kind: 'nearest',
        dimension,
        candidates,
        projected: hidden,
        projection: read('projection', [hidden, dimension]),
        keys: read('keys', [-1, hidden]),
        values: read('values', [-1, candidates]),
        neighbours: facts.neighbours ?? 1,
        temperature: facts.temperature ?? 1,
      };
  }
}

/** What the manifest says of heads, and the tensors of their file. */
export function headTensors(heads: LossHeads): {
  readonly facts: HeadFacts;
  readonly tensors: readonly NamedTensor[];
} {
  if (heads.kind !== 'average') return singleTensors(heads, 'heads.');
  const parts = heads.parts.map(({ share, heads: own }, at) => ({
    share,
    ...singleTensors(own, `heads.${at}.`),
  }));
  return {
    facts: { kind: 'average', parts: parts.map(({ share, facts }) => ({ share, ...facts })) },
    tensors: parts.flatMap(({ tensors }) => tensors),
  };
}

function singleTensors(
  heads: SingleLossHeads,
  prefix: string,
): { readonly facts: SingleHeadFacts; readonly tensors: NamedTensor[] } {
  const matrix = (
    name: string,
    values: Float32Array,
    width: number,
    precision: NamedTensor['precision'] = 'float32',
  ) => ({
    name: `${prefix}${name}`,
    shape: [values.length / width, width],
    values,
    precision,
  });
  const row = (name: string, values: Float32Array) => ({
    name: `${prefix}${name}`,
    shape: [values.length],
    values,
    precision: 'float32' as const,
  });
  const { dimension } = heads;
  switch (heads.kind) {
    case 'linear':
      return {
        facts: { kind: 'linear' },
        tensors: [matrix('weight', heads.weights, dimension), row('bias', heads.bias)],
      };
    case 'gated': {
      const hidden = heads.gateBias.length;
      return {
        facts: { kind: 'gated', hidden },
        tensors: [
          matrix('gate.weight', heads.gateWeights, dimension),
          row('gate.bias', heads.gateBias),
          matrix('weight', heads.weights, hidden + dimension),
          row('bias', heads.bias),
        ],
      };
    }
    case 'mlp': {
      const hidden = heads.hiddenBias.length;
      return {
        facts: { kind: 'mlp', hidden },
        tensors: [
          matrix('hidden.weight', heads.hiddenWeights, dimension),
          row('hidden.bias', heads.hiddenBias),
          matrix('weight', heads.weights, hidden),
          row('bias', heads.bias),
        ],
      };
    }
    case 'nearest': {
      const { neighbours, temperature, projected: hidden, candidates } = heads;
      return {
        facts: { kind: 'nearest', hidden, neighbours, temperature },
        tensors: [
          matrix('projection', heads.projection, dimension),
          matrix('keys', heads.keys, hidden),
          matrix('values', heads.values, candidates),
        ],
      };
    }
  }
}

/** What the manifest says of an encoder that is put together from parts. */
export interface EncoderFacts {
  readonly blocks: readonly FeatureBlock[];
}

const TOKENS = 'tokens.table';
const GRAMS = 'grams.table';
const MEAN = 'prompt.mean';
const DEVIATION = 'prompt.deviation';

/** Tables of the parts from the tensors of the encoder's file. @throws what `read` throws */
export function encoderFromTensors({ blocks }: EncoderFacts, read: ReadTensor): FeatureSpec {
  const table = (kind: 'tokens' | 'grams', name: string) => {
    const block = blocks.find((item) => item.kind === kind);
    if (!block) return undefined;
    const values = read(name, [-1, block.width]);
    return { table: values, rows: values.length / block.width, width: block.width };
  };
  const features = [PROMPT_FEATURES.length];
  return {
    blocks,
    tokens: table('tokens', TOKENS),
    grams: table('grams', GRAMS),
    scale: blocks.some(({ kind }) => kind === 'prompt')
      ? { mean: read(MEAN, features), deviation: read(DEVIATION, features) }
      : undefined,
  };
}

/** Tensors of the encoder's file; none when all comes from the graph. */
export function encoderTensors({ tokens, grams, scale }: FeatureSpec): NamedTensor[] {
  const tensors: NamedTensor[] = [];
  for (const [name, part] of [
    [TOKENS, tokens],
    [GRAMS, grams],
  ] as const)
    if (part)
      tensors.push({ name, shape: [part.rows, part.width], values: part.table, precision: 'float16' });
  if (scale) {
    for (const [name, values] of [
      [MEAN, scale.mean],
      [DEVIATION, scale.deviation],
    ] as const)
      tensors.push({ name, shape: [values.length], values, precision: 'float32' });
  }
  return tensors;
}
