import { ThalamusError } from '@thalamus/errors';
import { PROMPT_FEATURES, promptFeatures } from './prompt-features.js';
import { embedGrams, embedTokens, toLengthOne, type StaticTable } from './static-embedding.js';

/** Parts that the vector of a prompt is put together from. */
export const FEATURE_KINDS = ['sentence', 'tokens', 'grams', 'prompt'] as const;
/** One of the parts. */
export type FeatureKind = (typeof FEATURE_KINDS)[number];

/** One part of the vector, and how much it counts. */
export interface FeatureBlock {
  readonly kind: FeatureKind;
  readonly width: number;
  /** Length that the part has before the whole is brought to length 1. */
  readonly weight: number;
}

/** Mean and spread of the prompt features of the rows that a router was fitted on. */
export interface FeatureScale {
  /** [PROMPT_FEATURES.length] */
  readonly mean: Float32Array;
  /** [PROMPT_FEATURES.length], above 0. */
  readonly deviation: Float32Array;
}

/** What a router model reads of a prompt. */
export interface FeatureSpec {
  /** In the order of the vector; no kind twice. */
  readonly blocks: readonly FeatureBlock[];
  /** Needed for the kind `tokens`. */
  readonly tokens?: StaticTable | undefined;
  /** Needed for the kind `grams`. */
  readonly grams?: StaticTable | undefined;
  /** Needed for the kind `prompt`. */
  readonly scale?: FeatureScale | undefined;
}

/** A prompt as its parts are made from it. */
export interface FeatureInput {
  readonly text: string;
  /** Word pieces, special ones included. */
  readonly ids: readonly number[];
  /** Vector of the encoder's graph; needed for the kind `sentence`. */
  readonly sentence?: Float32Array | undefined;
}

/** Standard deviations beyond which a prompt feature counts no more. */
const LARGEST_DEVIATION = 3;

/** Width of the whole vector. */
export function featureWidth({ blocks }: Pick<FeatureSpec, 'blocks'>): number {
  return blocks.reduce((sum, { width }) => sum + width, 0);
}

/**
 * Vectors of prompts, float32 [prompts, featureWidth], row-major, each of length 1 (of zeros when nothing is known of the
 * prompt). @throws TENSOR_INVALID when a part is missing or its width is another
 */
export function routerFeatures(inputs: readonly FeatureInput[], spec: FeatureSpec): Float32Array {
  const width = featureWidth(spec);
  const features = new Float32Array(inputs.length * width);
  inputs.forEach((input, row) => {
    let from = row * width;
    for (const block of spec.blocks) {
      const part = features.subarray(from, from + block.width);
      writePart(block, input, spec, part);
      for (let at = 0; at < part.length; at++) part[at]! *= block.weight;
      from += block.width;
    }
    toLengthOne(features.subarray(row * width, (row + 1) * width));
  });
  return features;
}

function writePart(block: FeatureBlock, input: FeatureInput, spec: FeatureSpec, part: Float32Array): void {
  switch (block.kind) {
    case 'sentence':
      part.set(need(block, input.sentence, input.sentence?.length));
      return;
    case 'tokens':
      embedTokens(input.ids, need(block, spec.tokens, spec.tokens?.width), part);
      return;
    case 'grams':
      embedGrams(input.ids, need(block, spec.grams, spec.grams?.width), part);
      return;
    case 'prompt':
      writePromptFeatures(input.text, need(block, spec.scale, PROMPT_FEATURES.length), part);
  }
}

/** Standardised and cut, so that an odd prompt is far away but not infinitely; of length about 1. */
function writePromptFeatures(text: string, { mean, deviation }: FeatureScale, part: Float32Array): void {
  const norm = Math.sqrt(part.length);
  promptFeatures(text).forEach((value, at) => {
    const standard = (value - mean[at]!) / deviation[at]!;
    part[at] = Math.max(-LARGEST_DEVIATION, Math.min(LARGEST_DEVIATION, standard)) / norm;
  });
}

function need<T>(block: FeatureBlock, found: T | undefined, width: number | undefined): T {
  if (found !== undefined && width === block.width) return found;
  throw new ThalamusError(
    'TENSOR_INVALID',
    `Router features: the part "${block.kind}" of width ${block.width} ${found === undefined ? 'is missing' : `has the width ${width ?? 0}`}; load encoder and heads of one router model.`,
  );
}
