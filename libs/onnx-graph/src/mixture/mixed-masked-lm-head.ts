import { ThalamusError } from '@thalamus/errors';
import { tensor } from '@thalamus/tensor';
import { halves, WORD_PROJECTION } from '../bert-encoder.js';
import type { GraphBuilder, ValueName } from '../graph-builder.js';
import { graphOf, type OnnxModel } from '../onnx-model.js';
import { epsilonOf, WORDS } from '../read-bert-weights.js';

/** A masked-LM head without its decoder, which is the word embeddings of the encoder. */
export interface MixedHead {
  /** float32 [hidden, hidden], [in, out]. */
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

/** What mixed heads read, as values of the graph. */
export interface HeadReads {
  /** float32 [batch, sequence, hidden] */
  readonly hidden: ValueName;
  /** int64 [masked]: row times sequence plus column. */
  readonly positions: ValueName;
  /** float32 [batch, parents]: the weights of each text. */
  readonly weights: ValueName;
}

/** An encoder that was embedded in the graph under a prefix. */
export interface EmbeddedEncoder {
  readonly model: OnnxModel;
  readonly prefix: string;
}

/** Names of the head's values; names of experts never begin with an underscore. */
const PREFIX = '_head/';

/**
 * Writes the masked-LM heads of several parents as one whose parameters are mixed for every text: sum over t of w_t head_t, and then
 * Dense, GELU, LayerNorm, the word embeddings of the encoder once more and a bias (Devlin et al. 2018, section 3.1). That is exact: the
 * dense layers of all parents are one product, whose parts are summed by the weights before the GELU. All parents share the one
 * decoder. Parameters are stored as float16. Gives logits float32 [masked, vocabulary].
 * @throws COMPOSITION_REFUSED for a head of other sizes, GRAPH_INVALID for an encoder without word embeddings
 */
export function writeMixedMaskedLmHead(
  b: GraphBuilder,
  encoder: EmbeddedEncoder,
  heads: readonly MixedHead[],
  reads: HeadReads,
): ValueName {
  const words = wordsOf(encoder);
  const width = heads[0]?.denseBias.length ?? 0;
  heads.forEach((head, parent) => checkHead(head, parent, width, words.vocabulary));
  const { places, weights } = writePlaces(b, reads, width);
  const stack = stackWriter(b, heads);
  const own = b.node('Add', [
    b.node('Reshape', [
      b.node('MatMul', [places, stack.dense(width)]),
      ints(b, 'parts', [-1, heads.length, width]),
    ]),
    stack.of('denseBias', width),
  ]);
  const axis = ints(b, 'axis', [1]);
  const mixed = b.node('MatMul', [b.node('Unsqueeze', [weights, axis]), own]);
  const inner = b.node('Gelu', [b.node('Squeeze', [mixed, axis])]);
  const ones = b.constant(`${PREFIX}one`, tensor('float32', [width], new Float32Array(width).fill(1)));
  const normed = b.node('LayerNormalization', [inner, ones], {
    attributes: { axis: -1, epsilon: { float: epsilonOf(encoder.model) } },
  });
  const byText = (part: 'gain' | 'shift' | 'bias', size: number) =>
    b.node('MatMul', [weights, stack.of(part, size)]);
  const scaled = b.node('Mul', [normed, byText('gain', width)]);
  const shifted = b.node('Add', [scaled, byText('shift', width)]);
  const scores = b.node('MatMul', [words.narrow(b, shifted), words.turned(b)]);
  return b.node('Add', [scores, byText('bias', words.vocabulary)], { name: `${PREFIX}logits` });
}

/** Hidden states of the places, float32 [masked, hidden], and the weights of their texts, float32 [masked, parents]. */
function writePlaces(b: GraphBuilder, { hidden, positions, weights }: HeadReads, width: number) {
  const flat = b.node('Reshape', [hidden, ints(b, 'flat', [-1, width])]);
  const length = b.node('Gather', [b.node('Shape', [hidden]), ints(b, 'length_at', [1])]);
  const rows = b.node('Div', [positions, length]);
  return {
    places: b.node('Gather', [flat, positions], { attributes: { axis: 0 } }),
    weights: b.node('Gather', [weights, rows], { attributes: { axis: 0 } }),
  };
}

/** Parameters of all parents beside one another, stored as float16, as values in float32. */
function stackWriter(b: GraphBuilder, heads: readonly MixedHead[]) {
  const stored = (name: string, shape: readonly number[], data: Float32Array) =>
    b.node('Cast', [b.constant(`${PREFIX}${name}`, halves(tensor('float32', shape, data)))], {
      attributes: { to: 1 },
    });
  return {
    /** [hidden, parents * hidden] */
    dense: (width: number) => {
      const row = heads.length * width;
      const data = new Float32Array(width * row);
      heads.forEach(({ dense }, parent) => {
        for (let at = 0; at < width; at++)
          data.set(dense.subarray(at * width, (at + 1) * width), at * row + parent * width);
      });
      return stored('dense', [width, row], data);
    },
    /** [parents, size] */
    of: (part: Exclude<keyof MixedHead, 'dense'>, size: number) => {
      const data = new Float32Array(heads.length * size);
      heads.forEach((head, parent) => data.set(head[part], parent * size));
      return stored(part, [heads.length, size], data);
    },
  };
}

/** The word embeddings of an encoder, whatever it stores them as. */
function wordsOf({ model, prefix }: EmbeddedEncoder) {
  const graph = graphOf(model);
  const shapes = new Map(graph.initializer.map(({ name, dims }) => [name, dims.map(Number)]));
  const form = ['', '.float16', '.int8'].find((each) => shapes.has(`${WORDS}${each}`));
  const [vocabulary = 0, inner = 0] = shapes.get(`${WORDS}${form ?? ''}`) ?? [];
  if (form === undefined)
    throw new ThalamusError(
      'GRAPH_INVALID',
      `The encoder holds no ${WORDS}, which a masked-LM head scores words by; convert the base with zoo/scripts/convert-base.mjs.`,
    );
  const isNarrow = ['', '.float16', '.int8'].some((each) => shapes.has(`${WORD_PROJECTION}${each}`));
  const turn = (b: GraphBuilder, value: ValueName) =>
    b.node('Transpose', [value], { attributes: { perm: [1, 0] } });
  const table = (b: GraphBuilder): ValueName => {
    const stored = `${prefix}${WORDS}${form}`;
    if (form === '') return stored;
    if (form === '.float16') return b.node('Cast', [stored], { attributes: { to: 1 } });
    const scale = `${WORDS}.scale`;
    const blocks = shapes.get(scale)?.[1] ?? 1;
    return b.node('DequantizeLinear', [stored, `${prefix}${scale}`], {
      attributes: { axis: 1, block_size: inner / blocks },
    });
  };
  return {
    vocabulary,
    turned: (b: GraphBuilder) => turn(b, table(b)),
    /** [masked, hidden] as wide as the word embeddings are. */
    narrow: (b: GraphBuilder, value: ValueName) =>
      isNarrow ? b.node('MatMul', [value, turn(b, `${prefix}${WORD_PROJECTION}`)]) : value,
  };
}

function checkHead(head: MixedHead, parent: number, width: number, vocabulary: number): void {
  const sizes = { dense: width * width, denseBias: width, gain: width, shift: width, bias: vocabulary };
  for (const [part, size] of Object.entries(sizes)) {
    const values = head[part as keyof MixedHead];
    if (values.length !== size || !values.every((value) => Number.isFinite(Math.f16round(value))))
      throw new ThalamusError(
        'COMPOSITION_REFUSED',
        `The head of parent ${parent} has ${values.length} numbers in ${part}, where ${size} that float16 can hold are needed. All parents must stand on one base; train it again.`,
      );
  }
}

function ints(b: GraphBuilder, name: string, values: readonly number[]): ValueName {
  return b.constant(`${PREFIX}${name}`, tensor('int64', [values.length], BigInt64Array.from(values, BigInt)));
}
