import { HEAD_TENSORS } from '@thalamus/bundle';
import {
  GraphBuilder,
  buildBertEncoder,
  halves,
  matrixOfBlocks,
  readBertWeights,
  readMatrix,
  type BertConfig,
  type BertWeights,
  type Int8Storage,
  WORD_PROJECTION,
  wordBlockSize,
  type OnnxModel,
  type Storage,
  type Weights,
} from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';

/** Names of what training graphs take and give. */
export const TRAINING_VALUES = {
  inputIds: 'input_ids',
  attentionMask: 'attention_mask',
  /** int64 [rows]: class of each row, or token of each masked position. */
  labels: 'labels',
  /** int64 [masked]: positions in the batch, row times sequence plus column. */
  positions: 'masked_positions',
  logits: 'logits',
} as const;

/** An encoder inside a graph that goes on from its outputs. */
export interface EncoderInGraph {
  readonly builder: GraphBuilder;
  /** L2-normalised mean of the last layer, [batch, hidden]. */
  readonly embedding: string;
  /** [batch, sequence, hidden] */
  readonly hidden: string;
}

/** Starts a graph with an encoder; its constants keep their names, linear matrices are [in, out]. */
export function encoderInGraph(
  config: BertConfig,
  weights: Weights,
  storage: Storage = { kind: 'float32' },
): EncoderInGraph {
  const builder = new GraphBuilder();
  const encoder = buildBertEncoder(config, weights, storage);
  const inputs = [TRAINING_VALUES.inputIds, TRAINING_VALUES.attentionMask];
  const bindings = Object.fromEntries(
    inputs.map((name) => [name, builder.input(name, 'int64', ['batch', 'sequence'])]),
  );
  const outputs = builder.embed(encoder, '', bindings);
  return { builder, embedding: outputs['embedding']!, hidden: outputs['last_hidden_state']! };
}

/** Name of the weights [hidden, classes] and the bias [classes] of a classifier. */
export const CLASSIFIER_HEAD = { weight: 'head.weight', bias: 'head.bias' } as const;

/**
 * An encoder with a linear classifier on its normalised embedding, where probe heads stand too. Output: `logits` float32
 * [batch, classes]. `head.weight` is [hidden, classes].
 */
export function classifierGraph(
  config: BertConfig,
  weights: Weights,
  head: { readonly weights: Float32Array; readonly bias: Float32Array },
): OnnxModel {
  const { builder, embedding } = encoderInGraph(config, weights);
  const classes = head.bias.length;
  const weight = tensor('float32', [config.hiddenSize, classes], head.weights);
  const product = builder.node('MatMul', [embedding, builder.constant(CLASSIFIER_HEAD.weight, weight)]);
  const bias = builder.constant(CLASSIFIER_HEAD.bias, tensor('float32', [classes], head.bias));
  const logits = builder.node('Add', [product, bias], { name: TRAINING_VALUES.logits });
  builder.output(logits, 'float32', ['batch', classes]);
  return builder.build({ name: 'classifier' });
}

/** Names of the parameters of a masked-LM head. */
export const MASKED_LM_HEAD = HEAD_TENSORS['fill-mask'];

/**
 * An encoder with a masked-LM head: Dense, GELU, LayerNorm, then the word embeddings once more and a bias for each token
 * (Devlin et al. 2018, section 3.1). Only the masked positions are scored. Inputs beside the encoder's: `masked_positions` int64
 * [masked]. Output: `logits` float32 [masked, vocabulary].
 */
export function maskedLmGraph(
  config: BertConfig,
  weights: Weights,
  storage: Storage = { kind: 'float32' },
): OnnxModel {
  const { builder, hidden } = encoderInGraph(config, weights, storage);
  const { hiddenSize } = config;
  const positions = builder.input(TRAINING_VALUES.positions, 'int64', ['masked']);
  const ints = (hint: string, values: bigint[]) =>
    builder.constant(hint, tensor('int64', [values.length], BigInt64Array.from(values)));
  const constant = (name: string) => builder.constant(name, weights.get(name)!);
  const flat = builder.node('Reshape', [hidden, ints('flat_shape', [-1n, BigInt(hiddenSize)])]);
  const rows = builder.node('Gather', [flat, positions], { attributes: { axis: 0 } });
  const dense = builder.node('MatMul', [rows, denseMatrix(builder, weights, storage)]);
  const inner = builder.node('Gelu', [builder.node('Add', [dense, constant(MASKED_LM_HEAD.denseBias)])]);
  const normed = builder.node(
    'LayerNormalization',
    [inner, constant(MASKED_LM_HEAD.gain), constant(MASKED_LM_HEAD.shift)],
    { attributes: { axis: -1, epsilon: { float: config.layerNormEpsilon } } },
  );
  const transposed = (name: string) => builder.node('Transpose', [name], { attributes: { perm: [1, 0] } });
  const narrowed = weights.has(WORD_PROJECTION)
    ? builder.node('MatMul', [normed, transposed(WORD_PROJECTION)])
    : normed;
  const scores = builder.node('MatMul', [narrowed, transposed(wordTable(builder, storage))]);
  const logits = builder.node('Add', [scores, wordBias(builder, weights, storage)], {
    name: TRAINING_VALUES.logits,
  });
  const vocabulary = weights.get(WORDS)!.shape[0]!;
  builder.output(logits, 'float32', ['masked', vocabulary]);
  return builder.build({ name: 'masked-lm' });
}

const WORDS = 'embeddings.word_embeddings.weight';

/** The word embeddings [vocabulary, inner] that the encoder looks words up in, as float32. */
function wordTable(builder: GraphBuilder, storage: Storage): string {
  if (storage.kind === 'float32') return WORDS;
  if (storage.kind === 'float16')
    return builder.node('Cast', [`${WORDS}.float16`], { attributes: { to: 1 } });
  const scale = `${WORDS}.scale`;
  const factors = isWhole(storage) ? builder.node('Cast', [scale], { attributes: { to: 1 } }) : scale;
  return builder.node('DequantizeLinear', [`${WORDS}.int8`, factors], {
    attributes: { axis: 1, block_size: wordBlockSize(storage) },
  });
}

/** The head's dense matrix [hidden, hidden], [in, out], as float32. */
function denseMatrix(builder: GraphBuilder, weights: Weights, storage: Storage): string {
  const name = MASKED_LM_HEAD.dense;
  const matrix = weights.get(name)!;
  return isWhole(storage)
    ? matrixOfBlocks(builder, name, matrix, storage.blockSize)
    : builder.constant(name, matrix);
}

/** The head's bias [vocabulary] as float32. */
function wordBias(builder: GraphBuilder, weights: Weights, storage: Storage): string {
  const name = MASKED_LM_HEAD.bias;
  const bias = weights.get(name)!;
  if (!isWhole(storage)) return builder.constant(name, bias);
  const stored = builder.constant(`${name}.float16`, halves(bias));
  return builder.node('Cast', [stored], { name, attributes: { to: 1 } });
}

function isWhole(storage: Storage): storage is Int8Storage {
  return storage.kind === 'int8' && storage.isWhole === true;
}

/**
 * Reads back what `maskedLmGraph` has stored, whatever the storage: the encoder's sizes and weights, and those of the head.
 * @throws GRAPH_INVALID when the graph is none that `maskedLmGraph` has made
 */
export function readMaskedLmGraph(model: OnnxModel): BertWeights {
  const { config, weights } = readBertWeights(model);
  const head = Object.values(MASKED_LM_HEAD).map((name) => [name, readMatrix(model, name)] as const);
  return { config, weights: new Map([...weights, ...head]) };
}
