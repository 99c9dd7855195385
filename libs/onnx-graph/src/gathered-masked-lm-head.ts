import { tensor } from '@thalamus/tensor';
import { transpose, transposeInt8, WORD_PROJECTION } from './bert-encoder.js';
import { GraphBuilder, type ValueName } from './graph-builder.js';
import { graphOf, type OnnxModel } from './onnx-model.js';
import { epsilonOf, float32Of, int8Of, matrixOf, need, WORDS, type Constants } from './read-bert-weights.js';

/** What the graph of gathered heads takes and gives. */
export const MASKED_LM_VALUES = {
  /** float32 [masked, hidden]: last hidden states where tokens are hidden. */
  hidden: 'hidden',
  /** int32 [masked], or [1] when all have the same: row of the stacked heads. */
  row: 'head_row',
  /** float16 [heads, hidden, hidden], each [in, out]. */
  dense: 'dense',
  /** float16 [heads, 1, hidden]. */
  denseBias: 'dense_bias',
  /** float16 [heads, 1, hidden]: LayerNorm's weight. */
  gain: 'gain',
  /** float16 [heads, 1, hidden]: LayerNorm's bias. */
  shift: 'shift',
  /** float16 [heads, vocabulary]. */
  bias: 'bias',
  /** float32 [masked, vocabulary]. */
  logits: 'logits',
} as const;

/** A graph of gathered heads, and the sizes that a head must have. */
export interface GatheredMaskedLmHead {
  readonly model: OnnxModel;
  readonly hidden: number;
  readonly vocabulary: number;
}

/**
 * The masked-LM heads of many experts over one encoder that `buildBertEncoder` made: Dense, GELU, LayerNorm of each expert, then
 * the word embeddings of the encoder once more and a bias (Devlin et al. 2018, section 3.1). Heads are inputs, stacked along the
 * first axis; every masked position gathers its own. The word embeddings stay as they are stored: int8 blocks are multiplied as
 * blocks.
 * @throws GRAPH_INVALID when the graph is no such encoder
 */
export function buildGatheredMaskedLmHead(encoder: OnnxModel): GatheredMaskedLmHead {
  const constants = new Map(graphOf(encoder).initializer.map((constant) => [constant.name, constant]));
  const builder = new GraphBuilder();
  const [vocabulary = 0, inner = 0] = (constants.get(WORDS) ?? need(constants, `${WORDS}.int8`)).dims.map(
    Number,
  );
  const projection = projectionOf(constants);
  const hidden = projection?.shape[0] ?? inner;
  const transformed = transform(builder, hidden, epsilonOf(encoder));
  const narrowed = projection
    ? builder.node('MatMul', [transformed, builder.constant(WORD_PROJECTION, projection)])
    : transformed;
  const scores = builder.node('MatMul', [narrowed, decoder(builder, constants)]);
  const bias = gathered(builder, builder.input(MASKED_LM_VALUES.bias, 'float16', ['heads', vocabulary]));
  const logits = builder.node('Add', [scores, bias], { name: MASKED_LM_VALUES.logits });
  builder.output(logits, 'float32', ['masked', vocabulary]);
  return { model: builder.build({ name: 'masked-lm-heads' }), hidden, vocabulary };
}

/** [masked, hidden]: what each expert's own layers make of the hidden states. */
function transform(builder: GraphBuilder, hidden: number, epsilon: number): ValueName {
  const states = builder.input(MASKED_LM_VALUES.hidden, 'float32', ['masked', hidden]);
  builder.input(MASKED_LM_VALUES.row, 'int32', ['head_rows']);
  const stack = (name: string, rows: number) =>
    gathered(builder, builder.input(name, 'float16', ['heads', rows, hidden]));
  const axis = builder.constant('axis', tensor('int64', [1], BigInt64Array.of(1n)));
  const single = builder.node('Unsqueeze', [states, axis]);
  const dense = builder.node('MatMul', [single, stack(MASKED_LM_VALUES.dense, hidden)]);
  const inner = builder.node('Gelu', [builder.node('Add', [dense, stack(MASKED_LM_VALUES.denseBias, 1)])]);
  const one = builder.constant('one', tensor('float32', [hidden], new Float32Array(hidden).fill(1)));
  const normed = builder.node('LayerNormalization', [inner, one], {
    attributes: { axis: -1, epsilon: { float: epsilon } },
  });
  const scaled = builder.node('Mul', [normed, stack(MASKED_LM_VALUES.gain, 1)]);
  const shifted = builder.node('Add', [scaled, stack(MASKED_LM_VALUES.shift, 1)]);
  return builder.node('Squeeze', [shifted, axis]);
}

/** Rows of a stack of float16, as float32. */
function gathered(builder: GraphBuilder, stack: ValueName): ValueName {
  const rows = builder.node('Gather', [stack, MASKED_LM_VALUES.row], { attributes: { axis: 0 } });
  return builder.node('Cast', [rows], { attributes: { to: 1 } });
}

/** [hidden, inner] float32 of an encoder with narrow word embeddings. */
function projectionOf(constants: Constants) {
  const stored = ['', '.int8', '.float16']
    .map((form) => constants.get(`${WORD_PROJECTION}${form}`))
    .find(Boolean);
  return stored && transpose(matrixOf(constants, stored, WORD_PROJECTION));
}

/** The word embeddings turned, [inner, vocabulary]. */
function decoder(builder: GraphBuilder, constants: Constants): ValueName {
  const plain = constants.get(WORDS);
  if (plain) return builder.constant(WORDS, transpose(float32Of(plain)));
  const stored = need(constants, `${WORDS}.int8`);
  const scales = float32Of(need(constants, `${WORDS}.scale`));
  const [vocabulary = 0, inner = 0] = stored.dims.map(Number);
  const turned = tensor('int8', [inner, vocabulary], transposeInt8(int8Of(stored), vocabulary, inner));
  const blockSize = inner / (scales.shape[1] ?? 1);
  return builder.node(
    'DequantizeLinear',
    [builder.constant(`${WORDS}.int8`, turned), builder.constant(`${WORDS}.scale`, transpose(scales))],
    { attributes: { axis: 0, block_size: blockSize } },
  );
}
