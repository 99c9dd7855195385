import {
  float32Tensor,
  lowRankFiles,
  writeBundle,
  writeSafetensors,
  type Digest,
  type LowRankFactors,
  type WrittenBundle,
} from '@thalamus/bundle';
import {
  buildBertEncoder,
  encodeModel,
  GraphBuilder,
  type BertConfig,
  type OnnxModel,
  type Storage,
  type Weights,
} from '@thalamus/onnx-graph';
import { createRandom, tensor, type TensorOf } from '@thalamus/tensor';

/** Sizes of the pico encoder. */
export const PICO_CONFIG: BertConfig = {
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  maxPositions: 32,
  layerNormEpsilon: 1e-12,
};

/** Words of the pico vocabulary after the five special tokens, the letters, the digits and their continuations. */
const WORDS = [
  'the',
  'card',
  'lost',
  'my',
  'law',
  'court',
  'hello',
  'world',
  'money',
  'please',
  'block',
  'it',
];
const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const CHARACTERS = Array.from('abcdefghijklmnopqrstuvwxyz0123456789.,?!');
/** Tokens of the pico tokenizer, in the order of their ids. */
export const PICO_VOCABULARY = [
  ...SPECIAL,
  ...CHARACTERS,
  ...CHARACTERS.map((character) => `##${character}`),
  ...WORDS,
];

/** Id of a token of the pico tokenizer. */
export function picoId(token: string): number {
  const id = PICO_VOCABULARY.indexOf(token);
  if (id < 0) throw new RangeError(`${token} is not in the pico vocabulary`);
  return id;
}

/** A `tokenizer.json` of the same kind as BERT's, over some sixty tokens. */
export function picoTokenizer(): Uint8Array {
  const special = (content: string) => ({
    id: picoId(content),
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  });
  const piece = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const frame = (id: string) => ({ id, ids: [picoId(id)], tokens: [id] });
  const text = { Sequence: { id: 'A', type_id: 0 } };
  return new TextEncoder().encode(
    JSON.stringify({
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: SPECIAL.map(special),
      normalizer: {
        type: 'BertNormalizer',
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: {
        type: 'TemplateProcessing',
        single: [piece('[CLS]'), text, piece('[SEP]')],
        pair: [piece('[CLS]'), text, piece('[SEP]'), { Sequence: { id: 'B', type_id: 1 } }, piece('[SEP]')],
        special_tokens: { '[CLS]': frame('[CLS]'), '[SEP]': frame('[SEP]') },
      },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(PICO_VOCABULARY.map((token, id) => [token, id])),
      },
    }),
  );
}

/** Random weights of the pico encoder by their Hugging Face names; the same for the same seed. */
export function picoWeights(seed = 1): Weights {
  const random = createRandom(seed);
  const { hiddenSize: hidden, layers, maxPositions } = PICO_CONFIG;
  const weights = new Map<string, TensorOf<'float32'>>();
  const add = (name: string, shape: number[], center = 0, spread = 0.4) => {
    const length = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length }, () => center + spread * random.normal());
    weights.set(name, tensor('float32', shape, data));
  };
  const linear = (name: string, rows: number, columns: number) => {
    add(`${name}.weight`, [rows, columns]);
    add(`${name}.bias`, [rows], 0, 0.1);
  };
  const norm = (name: string) => {
    add(`${name}.LayerNorm.weight`, [hidden], 1, 0.1);
    add(`${name}.LayerNorm.bias`, [hidden], 0, 0.1);
  };
  add('embeddings.word_embeddings.weight', [PICO_VOCABULARY.length, hidden], 0, 1);
  add('embeddings.position_embeddings.weight', [maxPositions, hidden], 0, 0.2);
  add('embeddings.token_type_embeddings.weight', [2, hidden], 0, 0.2);
  norm('embeddings');
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `encoder.layer.${layer}`;
    for (const part of ['self.query', 'self.key', 'self.value', 'output.dense'])
      linear(`${prefix}.attention.${part}`, hidden, hidden);
    norm(`${prefix}.attention.output`);
    linear(`${prefix}.intermediate.dense`, 2 * hidden, hidden);
    linear(`${prefix}.output.dense`, hidden, 2 * hidden);
    norm(`${prefix}.output`);
  }
  return weights;
}

/** A whole BERT encoder of 16 dimensions and two layers. */
export function picoEncoder(seed = 1, storage: Storage = { kind: 'float32' }): OnnxModel {
  return buildBertEncoder(PICO_CONFIG, picoWeights(seed), storage);
}

/**
 * A graph that takes as long as it is told: input `side` int64 [2], output `sum` float32 [], the sum of a square matrix
 * of ones times itself, which is side^3. A side of 3,000 takes about a second on one core.
 */
export function slowGraph(): OnnxModel {
  const builder = new GraphBuilder();
  const side = builder.input('side', 'int64', [2]);
  const half = builder.node('ConstantOfShape', [side]);
  const one = builder.constant('one', tensor('float32', [], new Float32Array([1])));
  const ones = builder.node('Add', [half, one]);
  const product = builder.node('MatMul', [ones, ones]);
  const sum = builder.node('ReduceSum', [product], { name: 'sum', attributes: { keepdims: 0 } });
  builder.output(sum, 'float32', []);
  return builder.build({ name: 'slow' });
}

/** y = x W + b: input `x` float32 [batch, 2], output `y` float32 [batch, 3], W = [[1, 2, 3], [4, 5, 6]], b = 1. */
export function linearGraph(): OnnxModel {
  const builder = new GraphBuilder();
  const x = builder.input('x', 'float32', ['batch', 2]);
  const weight = builder.constant('w', tensor('float32', [2, 3], new Float32Array([1, 2, 3, 4, 5, 6])));
  const bias = builder.constant('b', tensor('float32', [3], new Float32Array([1, 1, 1])));
  const y = builder.node('Add', [builder.node('MatMul', [x, weight]), bias], { name: 'y' });
  builder.output(y, 'float32', ['batch', 3]);
  return builder.build({ name: 'linear' });
}

/** What the manifests of pico bundles have in common. */
export const picoFacts = () => ({
  schemaVersion: 1 as const,
  description: 'A tiny model made by a test.',
  parameterCount: 1,
  flopsPerToken: 1,
  precision: 'float32' as const,
  licence: 'CC0-1.0',
  trainingData: [],
  evaluation: [],
  trust: { signed: false, scanned: false, backdoorTested: false },
  releaseDate: '2026-01-31',
});

/** Name and version of a pico bundle. */
export interface PicoName {
  readonly name: string;
  /** Default `1`. */
  readonly version?: string;
  readonly seed?: number;
}

/** Writes the pico encoder as a bundle that can be a base. */
export function writePicoBase(
  folder: string,
  { name, version = '1', seed = 1 }: PicoName,
  storage: Storage = { kind: 'float32' },
): Promise<WrittenBundle> {
  return writeBundle(
    folder,
    {
      ...picoFacts(),
      name,
      version,
      kind: 'full',
      task: 'feature-extraction',
      maxTokens: PICO_CONFIG.maxPositions,
    },
    { 'model.onnx': encodeModel(picoEncoder(seed, storage)), 'tokenizer.json': picoTokenizer() },
  );
}

/** Writes any graph as a bundle that takes and gives raw tensors. */
export function writePicoGraph(
  folder: string,
  { name, version = '1' }: PicoName,
  model: OnnxModel,
): Promise<WrittenBundle> {
  return writeBundle(
    folder,
    { ...picoFacts(), name, version, kind: 'full', task: 'feature-extraction', maxTokens: 1 },
    { 'model.onnx': encodeModel(model) },
  );
}

/** Weights [labels, 16] and bias [labels] of a random head; the same for the same seed. */
export function picoHead(labels: number, seed: number): { weights: Float32Array; bias: Float32Array } {
  const random = createRandom(seed);
  const normal = (length: number) => Float32Array.from({ length }, () => 3 * random.normal());
  return { weights: normal(labels * PICO_CONFIG.hiddenSize), bias: normal(labels) };
}

/** Writes a probe over a pico base with a head of `picoHead`. */
export function writePicoProbe(
  folder: string,
  { name, version = '1', seed = 1 }: PicoName,
  labels: readonly string[],
  base: { readonly name: string; readonly digest: Digest },
): Promise<WrittenBundle> {
  const { weights, bias } = picoHead(labels.length, seed);
  const head = writeSafetensors({
    'head.weight': float32Tensor([labels.length, PICO_CONFIG.hiddenSize], weights),
    'head.bias': float32Tensor([labels.length], bias),
  });
  return writeBundle(
    folder,
    {
      ...picoFacts(),
      name,
      version,
      kind: 'probe',
      task: 'text-classification',
      base: { ...base },
      labels: [...labels],
      maxTokens: PICO_CONFIG.maxPositions,
    },
    { 'head.safetensors': head },
  );
}

/** Random factors for every linear layer of the pico encoder; the same for the same seed. */
export function picoFactors(rank: number, seed: number): LowRankFactors[] {
  const random = createRandom(seed);
  const values = (length: number) => Float32Array.from({ length }, () => 0.3 * random.normal());
  return [...picoWeights()].flatMap(([name, { shape }]) => {
    const [outputs = 0, inputs = 0] = shape;
    if (!name.startsWith('encoder.') || shape.length !== 2) return [];
    const layer = name.slice(0, -'.weight'.length);
    return [{ layer, rank, inputs, outputs, a: values(rank * inputs), b: values(outputs * rank) }];
  });
}

/** Rank and alpha of a pico low-rank expert. */
export interface PicoBranches {
  readonly rank: number;
  readonly alpha: number;
  /** Default: those of `picoFactors` with the seed of the expert. */
  readonly factors?: readonly LowRankFactors[];
}

/** Writes a low-rank classifier over a pico base, with the head of `picoHead`. */
export function writePicoLowRank(
  folder: string,
  { name, version = '1', seed = 1 }: PicoName,
  labels: readonly string[],
  base: { readonly name: string; readonly digest: Digest },
  { rank, alpha, factors = picoFactors(rank, seed) }: PicoBranches,
): Promise<WrittenBundle> {
  const head = { task: 'text-classification' as const, ...picoHead(labels.length, seed) };
  return writeBundle(
    folder,
    {
      ...picoFacts(),
      name,
      version,
      kind: 'lowrank',
      task: 'text-classification',
      base: { ...base },
      labels: [...labels],
      maxTokens: PICO_CONFIG.maxPositions,
    },
    lowRankFiles({ baseName: base.name, factors, rank, alpha, head }),
  );
}
