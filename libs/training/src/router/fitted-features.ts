import {
  affine,
  embedTokens,
  featureWidth,
  gramRows,
  PROMPT_FEATURES,
  promptFeatures,
  routerFeatures,
  type FeatureBlock,
  type FeatureKind,
  type FeatureSpec,
  type StaticTable,
} from '@thalamus/routing';
import { decodeFloat16, encodeFloat16 } from '@thalamus/tensor';
import { principalDirections, principalProjection, type SparseRows } from './principal-directions.js';

/** Prompts as the parts of a vector are made from them. */
export interface PreparedPrompts {
  readonly texts: readonly string[];
  /** Word pieces of each, special ones included. */
  readonly ids: readonly (readonly number[])[];
  /** Vectors of the encoder's graph [prompts, sentenceWidth]; absent when no part needs them. */
  readonly sentences?: Float32Array | undefined;
  readonly sentenceWidth: number;
}

/** Word vectors of a base, [rows, width]. */
export type WordTable = StaticTable;

/** Settings of the parts. */
export interface FeatureSettings {
  readonly kinds: readonly FeatureKind[];
  /** Length of each part; 1 where none is given. */
  readonly weights?: Readonly<Partial<Record<FeatureKind, number>>>;
  /** Width of the static vectors of word pieces; those of the base are brought to it. */
  readonly tokenWidth: number;
  /** Rows of the table of hashed runs. */
  readonly gramRows: number;
  readonly gramWidth: number;
  readonly seed: number;
}

/** Settings that the command line uses. */
export const FEATURE_SETTINGS = { tokenWidth: 128, gramRows: 8192, gramWidth: 128 } as const;

/** Arora, Liang and Ma 2017: a word counts a / (a + its share of all words). */
const SMOOTH_INVERSE_FREQUENCY = 1e-3;

/**
 * Fits the parts to the prompts of a table, which are read without their results: word vectors weighed by how rare a piece is,
 * a table of hashed runs whose directions are the principal ones, mean and spread of the prompt features.
 * Deterministic. Tables are rounded to float16, as they are stored.
 */
export function fitFeatures(
  prompts: PreparedPrompts,
  words: WordTable,
  settings: FeatureSettings,
): FeatureSpec {
  const has = (kind: FeatureKind) => settings.kinds.includes(kind);
  const widths: Readonly<Record<FeatureKind, number>> = {
    sentence: prompts.sentenceWidth,
    tokens: Math.min(words.width, settings.tokenWidth),
    grams: settings.gramWidth,
    prompt: PROMPT_FEATURES.length,
  };
  const blocks = settings.kinds.map((kind): FeatureBlock => ({
    kind,
    width: widths[kind],
    weight: settings.weights?.[kind] ?? 1,
  }));
  return {
    blocks,
    tokens: has('tokens') ? tokenTable(prompts.ids, words, settings) : undefined,
    grams: has('grams') ? gramTable(prompts.ids, settings) : undefined,
    scale: has('prompt') ? featureScale(prompts.texts) : undefined,
  };
}

/** Vectors of prompts by the parts: float32 [prompts, featureWidth]. */
export function featuresOf(prompts: PreparedPrompts, spec: FeatureSpec): Float32Array {
  const { sentences, sentenceWidth } = prompts;
  const width = featureWidth(spec);
  const features = new Float32Array(prompts.texts.length * width);
  prompts.texts.forEach((text, row) => {
    const sentence = sentences?.subarray(row * sentenceWidth, (row + 1) * sentenceWidth);
    features.set(routerFeatures([{ text, ids: prompts.ids[row]!, sentence }], spec), row * width);
  });
  return features;
}

/** Weighed word vectors along the principal directions of the prompts that they give. */
function tokenTable(
  ids: PreparedPrompts['ids'],
  words: WordTable,
  { tokenWidth, seed }: FeatureSettings,
): StaticTable {
  const weighed = weighedWords(ids, words);
  if (tokenWidth >= words.width) return { ...weighed, table: rounded(weighed.table) };
  const prompts = new Float32Array(ids.length * words.width);
  ids.forEach((row, at) => {
    embedTokens(row, weighed, prompts.subarray(at * words.width, (at + 1) * words.width));
  });
  const projection = principalProjection(prompts, words.width, tokenWidth, seed);
  const table = affine(weighed.table, words.width, projection, new Float32Array(tokenWidth));
  return { table: rounded(table), rows: words.rows, width: tokenWidth };
}

/** Word vectors less their mean over the text, each as long as its piece is rare. */
function weighedWords(ids: PreparedPrompts['ids'], { table, rows, width }: WordTable): StaticTable {
  // Half a count for pieces that do not occur: they are the rarest, but no more than that.
  const counts = new Float64Array(rows).fill(0.5);
  for (const row of ids) for (const id of row) counts[id]! += 1;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const weights = counts.map(
    (count) => SMOOTH_INVERSE_FREQUENCY / (SMOOTH_INVERSE_FREQUENCY + count / total),
  );
  const mean = new Float64Array(width);
  let mass = 0;
  for (let row = 0; row < rows; row++) {
    const weight = counts[row]! * weights[row]!;
    mass += weight;
    for (let at = 0; at < width; at++) mean[at]! += weight * table[row * width + at]!;
  }
  const centred = Float32Array.from(
    table,
    (value, at) => weights[Math.floor(at / width)]! * (value - mean[at % width]! / mass),
  );
  return { table: centred, rows, width };
}

/** Principal directions of the runs of the prompts, each run weighed by how rare it is (latent semantic analysis). */
function gramTable(
  ids: PreparedPrompts['ids'],
  { gramRows: rows, gramWidth: width, seed }: FeatureSettings,
): StaticTable {
  const found = ids.map((row) => Array.from(gramRows(row, rows)));
  const seen = new Float64Array(rows);
  for (const row of found) for (const gram of row) seen[gram]! += 1;
  const rarity = seen.map((count) => (count === 0 ? 0 : Math.log((1 + found.length) / (1 + count)) + 1));
  const sparse: SparseRows = {
    columns: rows,
    rows: found.map((grams) => {
      const values = grams.map((gram) => rarity[gram]!);
      const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)) || 1;
      return { columns: grams, values: values.map((value) => value / norm) };
    }),
  };
  const directions = principalDirections(sparse, width, seed);
  const table = new Float32Array(rows * width);
  directions.forEach((direction, at) => {
    for (let row = 0; row < rows; row++) table[row * width + at] = rarity[row]! * direction[row]!;
  });
  return { table: rounded(table), rows, width };
}

function featureScale(texts: readonly string[]): FeatureSpec['scale'] {
  const width = PROMPT_FEATURES.length;
  const values = texts.map((text) => promptFeatures(text));
  const mean = new Float32Array(width);
  const deviation = new Float32Array(width);
  for (let at = 0; at < width; at++) {
    const average = values.reduce((sum, row) => sum + row[at]!, 0) / values.length;
    const variance = values.reduce((sum, row) => sum + (row[at]! - average) ** 2, 0) / values.length;
    mean[at] = average;
    // What never varies says nothing: any spread will do.
    deviation[at] = Math.sqrt(variance) || 1;
  }
  return { mean, deviation };
}

const rounded = (values: Float32Array) => decodeFloat16(encodeFloat16(values));
