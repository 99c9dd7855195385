import { ThalamusError } from '@thalamus/errors';

/** Files of a bundle of the kind `lowrank`. */
export const LOW_RANK_FILES = {
  /** Factors in PEFT's layout. */
  adapter: 'adapter.safetensors',
  /** PEFT's configuration: rank and alpha. */
  config: 'adapter_config.json',
  /** Head of the task. */
  head: 'head.safetensors',
} as const;

/** Factors of one linear layer in PEFT's layout: the weight [out, in] becomes W + scale B A. */
export interface LowRankFactors {
  /** Name of the layer without `.weight`. */
  readonly layer: string;
  /** float32 [rank, in] */
  readonly a: Float32Array;
  /** float32 [out, rank] */
  readonly b: Float32Array;
  readonly rank: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** What `adapter.safetensors` and `adapter_config.json` say together. */
export interface LowRankAdapter {
  /** One entry for each layer that changes, in the order of their names in the file. */
  readonly factors: readonly LowRankFactors[];
  readonly rank: number;
  readonly alpha: number;
  /** alpha / rank: what the product of the factors is multiplied by. */
  readonly scale: number;
}

/** A linear classifier on the normalised embedding of a base. */
export interface ClassifierHead {
  readonly task: 'text-classification';
  /** float32 [labels, hidden] */
  readonly weights: Float32Array;
  /** float32 [labels] */
  readonly bias: Float32Array;
}

/** Dense, GELU, LayerNorm, then the base's word embeddings once more (Devlin et al. 2018, section 3.1) and a bias. */
export interface MaskedLmHead {
  readonly task: 'fill-mask';
  /** float32 [hidden, hidden], Hugging Face's layout [out, in] */
  readonly dense: Float32Array;
  /** float32 [hidden] */
  readonly denseBias: Float32Array;
  /** float32 [hidden]: LayerNorm's weight. */
  readonly gain: Float32Array;
  /** float32 [hidden]: LayerNorm's bias. */
  readonly shift: Float32Array;
  /** float32 [vocabulary] */
  readonly bias: Float32Array;
}

/** Head of a delta expert, by its task. */
export type DeltaHead = ClassifierHead | MaskedLmHead;

/** Sizes of a base that a head must fit. */
export interface HeadSizes {
  readonly hidden: number;
  /** Rows of the word embeddings; a classifier's head does not depend on it. */
  readonly vocabulary: number;
}

/** Names of the tensors of each head in `head.safetensors`. */
export const HEAD_TENSORS = {
  'text-classification': { weights: 'head.weight', bias: 'head.bias' },
  'fill-mask': {
    dense: 'cls.predictions.transform.dense.weight',
    denseBias: 'cls.predictions.transform.dense.bias',
    gain: 'cls.predictions.transform.LayerNorm.weight',
    shift: 'cls.predictions.transform.LayerNorm.bias',
    bias: 'cls.predictions.bias',
  },
} as const;

/** Name of a factor in `adapter.safetensors`. */
export const factorName = (layer: string, part: 'A' | 'B'): string =>
  `base_model.model.${layer}.lora_${part}.weight`;

/** Layer and part of a tensor of `adapter.safetensors`; undefined when the name is not of this layout. */
export function parseFactorName(
  name: string,
): { readonly layer: string; readonly part: 'A' | 'B' } | undefined {
  const [, layer, part] = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/.exec(name) ?? [];
  return layer !== undefined && (part === 'A' || part === 'B') ? { layer, part } : undefined;
}

/** The refusal of a file of a bundle; `field` is a key of its JSON or the name of a tensor. */
export function refusedFile(
  bundle: string,
  file: string,
  field: string,
  description: string,
  cause?: unknown,
): ThalamusError {
  const where = field === '' ? file : `${file}: ${field}`;
  return new ThalamusError(
    'BUNDLE_INVALID',
    `${bundle}: ${where} ${description}. Export or train the expert again.`,
    { violations: [{ field: where, description }], cause },
  );
}
