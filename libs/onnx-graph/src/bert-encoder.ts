import { ThalamusError } from '@thalamus/errors';
import { encodeFloat16, tensor, type TensorOf } from '@thalamus/tensor';
import { beyondHalf } from './half-range.js';
import { GraphBuilder, type NodeOptions, type ValueName } from './graph-builder.js';
import type { OnnxModel } from './onnx-model.js';
import { quantiseBlocks } from './quantise.js';

/** Sizes of a BERT encoder, under the names of its config.json. */
export interface BertConfig {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly maxPositions: number;
  readonly layerNormEpsilon: number;
}

/** How matrices are stored. */
export type Storage = Float32Storage | Float16Storage | Int8Storage;

/** Matrices as they are. */
export interface Float32Storage {
  readonly kind: 'float32';
}

/** Matrices as float16; they are computed with as float32. */
export interface Float16Storage {
  readonly kind: 'float16';
}

/** Matrices as int8 in blocks along the summed dimension. */
export interface Int8Storage {
  readonly kind: 'int8';
  /** Rows of a block: 16, 32, 64 or 128; ONNX Runtime multiplies such blocks without unpacking them. */
  readonly blockSize: number;
  /** Values of a word's embedding that share a scale; `blockSize` unless said. The rows of a word projection are cut likewise. */
  readonly wordBlockSize?: number;
  /**
   * Whether position embeddings and the dense matrix of a masked-LM head are int8 too, and the scales of words and the head's bias
   * of each word float16; unless said they are float32.
   */
  readonly isWhole?: boolean;
  /** Linear weights to keep as float16, by name: those whose inputs do not stand being rounded to int8. */
  readonly float16?: (name: string) => boolean;
}

const POSITIONS = 'embeddings.position_embeddings.weight';

/** Weights by their Hugging Face names, such as `encoder.layer.0.attention.self.query.weight`. */
export type Weights = ReadonlyMap<string, TensorOf<'float32'>>;

/**
 * Weight [hidden, inner] of an encoder whose word embeddings [vocabulary, inner] are narrower than its layers (Lan et al. 2020,
 * section 3.1): words are looked up, then widened. Without it the embeddings are as wide as the layers.
 */
export const WORD_PROJECTION = 'embeddings.word_projection.weight';

/**
 * Builds a BERT encoder (Devlin et al. 2018, section 3) with mean pooling over the attended positions.
 *
 * Inputs: `input_ids`, `attention_mask` int64 [batch, sequence]. Outputs, float32: `embedding` [batch, hidden],
 * L2-normalised; `pooled` [batch, hidden], the mean before that; `last_hidden_state` [batch, sequence, hidden]. Constants keep their Hugging Face names, linear weights
 * transposed to [in, out].
 */
export function buildBertEncoder(config: BertConfig, weights: Weights, storage: Storage): OnnxModel {
  const builder = new GraphBuilder();
  const ids = builder.input('input_ids', 'int64', ['batch', 'sequence']);
  const mask = builder.input('attention_mask', 'int64', ['batch', 'sequence']);
  const encoder = new EncoderWriter(builder, config, weights, storage);
  const bias = encoder.attentionBias(mask);
  let hidden = encoder.embed(ids);
  for (let layer = 0; layer < config.layers; layer++)
    hidden = encoder.layer(`encoder.layer.${layer}`, hidden, bias);
  const last = builder.node('Identity', [hidden], { name: 'last_hidden_state' });
  const { pooled, embedding } = encoder.pool(last, mask);
  builder.output(embedding, 'float32', ['batch', config.hiddenSize]);
  builder.output(pooled, 'float32', ['batch', config.hiddenSize]);
  builder.output(last, 'float32', ['batch', 'sequence', config.hiddenSize]);
  return builder.build({ name: 'bert-encoder' });
}

class EncoderWriter {
  private readonly headSize: number;

  constructor(
    private readonly builder: GraphBuilder,
    private readonly config: BertConfig,
    private readonly weights: Weights,
    private readonly storage: Storage,
  ) {
    this.headSize = config.hiddenSize / config.heads;
  }

  /** [batch, 1, 1, sequence]: 0 where a position is attended, a large negative number where not. */
  attentionBias(mask: ValueName): ValueName {
    const b = this.builder;
    const wide = b.node('Unsqueeze', [
      b.node('Cast', [mask], { attributes: { to: 1 }, name: 'mask' }),
      this.ints('mask_axes', [1, 2]),
    ]);
    return b.node('Mul', [b.node('Sub', [this.scalar('one', 1), wide]), this.scalar('masked', -1e9)], {
      name: 'attention_bias',
    });
  }

  embed(ids: ValueName): ValueName {
    const b = this.builder;
    const rows = this.lookup('embeddings.word_embeddings.weight', ids);
    const words = this.weights.has(WORD_PROJECTION)
      ? b.node('MatMul', [rows, this.matrix(WORD_PROJECTION)])
      : rows;
    const length = b.node('Gather', [b.node('Shape', [ids]), this.ints('one_index', [1])], {
      name: 'length',
    });
    return this.norm('embeddings.LayerNorm', b.node('Add', [words, this.positions(length)]));
  }

  layer(prefix: string, hidden: ValueName, bias: ValueName): ValueName {
    const b = this.builder;
    const query = this.split(this.linear(`${prefix}.attention.self.query`, hidden), [0, 2, 1, 3]);
    const key = this.split(this.linear(`${prefix}.attention.self.key`, hidden), [0, 2, 3, 1]);
    const value = this.split(this.linear(`${prefix}.attention.self.value`, hidden), [0, 2, 1, 3]);
    const scaled = b.node('Mul', [
      b.node('MatMul', [query, key]),
      this.scalar('scale', 1 / Math.sqrt(this.headSize)),
    ]);
    const probabilities = b.node('Softmax', [b.node('Add', [scaled, bias])], { attributes: { axis: -1 } });
    const mixed = b.node('Transpose', [b.node('MatMul', [probabilities, value])], {
      attributes: { perm: [0, 2, 1, 3] },
    });
    const joined = b.node('Reshape', [mixed, this.ints('joined_shape', [0, 0, this.config.hiddenSize])]);
    const attended = this.linear(`${prefix}.attention.output.dense`, joined);
    const middle = this.norm(`${prefix}.attention.output.LayerNorm`, b.node('Add', [attended, hidden]));
    const inner = b.node('Gelu', [this.linear(`${prefix}.intermediate.dense`, middle)]);
    const outer = this.linear(`${prefix}.output.dense`, inner);
    return this.norm(`${prefix}.output.LayerNorm`, b.node('Add', [outer, middle]));
  }

  /** Mean over attended positions, then division by the L2 norm. */
  pool(hidden: ValueName, mask: ValueName): { readonly pooled: ValueName; readonly embedding: ValueName } {
    const b = this.builder;
    const weight = b.node('Unsqueeze', [
      b.node('Cast', [mask], { attributes: { to: 1 } }),
      this.ints('last_axis', [2]),
    ]);
    const axis = this.ints('sequence_axis', [1]);
    const sum = b.node('ReduceSum', [b.node('Mul', [hidden, weight]), axis], { attributes: { keepdims: 0 } });
    const count = b.node('ReduceSum', [weight, axis], { attributes: { keepdims: 0 } });
    const pooled = b.node('Div', [sum, b.node('Max', [count, this.scalar('least_count', 1e-9)])], {
      name: 'pooled',
    });
    const norm = b.node('ReduceL2', [pooled, this.ints('hidden_axis', [1])], { attributes: { keepdims: 1 } });
    const embedding = b.node('Div', [pooled, b.node('Max', [norm, this.scalar('least_norm', 1e-12)])], {
      name: 'embedding',
    });
    return { pooled, embedding };
  }

  private linear(prefix: string, input: ValueName): ValueName {
    const product = this.builder.node('MatMul', [input, this.matrix(`${prefix}.weight`)]);
    return this.builder.node('Add', [
      product,
      this.builder.constant(`${prefix}.bias`, this.weight(`${prefix}.bias`)),
    ]);
  }

  private matrix(name: string): ValueName {
    const transposed = transpose(this.weight(name));
    if (this.storage.kind === 'float32') return this.builder.constant(name, transposed);
    if (this.storage.kind === 'float16' || (this.storage.float16?.(name) ?? false))
      return this.builder.node(
        'Cast',
        [this.builder.constant(`${name}.float16`, storedHalves(name, transposed))],
        {
          name,
          attributes: { to: 1 },
        },
      );
    const { blockSize } = this.storage;
    const size = name === WORD_PROJECTION ? wordBlockSize(this.storage) : blockSize;
    return matrixOfBlocks(this.builder, name, transposed, size);
  }

  /** Rows of an embedding table; a quantised table is dequantised after the rows have been taken. */
  private lookup(name: string, ids: ValueName): ValueName {
    const b = this.builder;
    const table = this.weight(name);
    if (this.storage.kind === 'float32') return b.node('Gather', [b.constant(name, table), ids]);
    if (this.storage.kind === 'float16')
      return b.node(
        'Cast',
        [b.node('Gather', [b.constant(`${name}.float16`, storedHalves(name, table)), ids])],
        {
          name,
          attributes: { to: 1 },
        },
      );
    const size = wordBlockSize(this.storage);
    const { values, scales } = blocksOfRows(table, size);
    const rows = b.node('Cast', [b.node('Gather', [b.constant(`${name}.int8`, values), ids])], {
      attributes: { to: 1 },
    });
    const factors = this.storage.isWhole
      ? b.node('Cast', [b.node('Gather', [b.constant(`${name}.scale`, halves(scales)), ids])], {
          attributes: { to: 1 },
        })
      : b.node('Gather', [b.constant(`${name}.scale`, scales), ids]);
    const [, width = 0] = table.shape;
    const cut = b.node('Reshape', [rows, this.ints('cut_shape', [0, 0, width / size, size])]);
    const product = b.node('Mul', [cut, b.node('Unsqueeze', [factors, this.ints('block_axis', [3])])]);
    return b.node('Reshape', [product, this.ints('row_shape', [0, 0, width])], { name });
  }

  /** Embeddings [length, hidden] of the first positions, with the one token type that single texts use added in. */
  private positions(length: ValueName): ValueName {
    const b = this.builder;
    const table = this.weight(POSITIONS);
    const types = this.weight('embeddings.token_type_embeddings.weight');
    const { hiddenSize } = this.config;
    const data = table.data.map((value, index) => value + types.data[index % hiddenSize]!);
    const sum = tensor('float32', table.shape, data);
    const first = (rows: ValueName, options: NodeOptions = {}) =>
      b.node('Slice', [rows, this.ints('zero', [0]), length, this.ints('zero_axis', [0])], options);
    if (this.storage.kind !== 'int8' || !this.storage.isWhole)
      return first(b.constant(POSITIONS, sum), { name: 'positions' });
    const { blockSize } = this.storage;
    const { values, scales } = blocksOfRows(sum, blockSize);
    const stored = [b.constant(`${POSITIONS}.int8`, values), b.constant(`${POSITIONS}.scale`, scales)];
    return b.node(
      'DequantizeLinear',
      stored.map((rows) => first(rows)),
      { name: 'positions', attributes: { axis: 1, block_size: blockSize } },
    );
  }

  private norm(prefix: string, input: ValueName): ValueName {
    const gain = this.builder.constant(`${prefix}.weight`, this.weight(`${prefix}.weight`));
    const shift = this.builder.constant(`${prefix}.bias`, this.weight(`${prefix}.bias`));
    const attributes = { axis: -1, epsilon: { float: this.config.layerNormEpsilon } };
    return this.builder.node('LayerNormalization', [input, gain, shift], { attributes });
  }

  private split(input: ValueName, perm: readonly number[]): ValueName {
    const shape = this.ints('split_shape', [0, 0, this.config.heads, this.headSize]);
    return this.builder.node('Transpose', [this.builder.node('Reshape', [input, shape])], {
      attributes: { perm },
    });
  }

  private weight(name: string): TensorOf<'float32'> {
    const value = this.weights.get(name);
    if (!value)
      throw new ThalamusError('GRAPH_INVALID', `The weights hold no ${name}; is this a BERT encoder?`);
    return value;
  }

  private ints(hint: string, values: readonly number[]): ValueName {
    return this.builder.constant(hint, tensor('int64', [values.length], BigInt64Array.from(values, BigInt)));
  }

  private scalar(hint: string, value: number): ValueName {
    return this.builder.constant(hint, tensor('float32', [], new Float32Array([value])));
  }
}

/** Values of a word's embedding that share a scale. */
export function wordBlockSize({ blockSize, wordBlockSize: ofWords }: Int8Storage): number {
  return ofWords ?? blockSize;
}

/** Writes a linear matrix [in, out] as int8 in blocks along its rows; gives it back as float32. */
export function matrixOfBlocks(
  builder: GraphBuilder,
  name: string,
  matrix: TensorOf<'float32'>,
  blockSize: number,
): ValueName {
  const { values, scales, rows, columns } = quantiseBlocks(matrix, blockSize);
  const stored = builder.constant(`${name}.int8`, tensor('int8', [rows, columns], values));
  const scale = builder.constant(`${name}.scale`, tensor('float32', [rows / blockSize, columns], scales));
  return builder.node('DequantizeLinear', [stored, scale], {
    name,
    attributes: { axis: 0, block_size: blockSize },
  });
}

/** A table [rows, width] in int8 with a scale for each block along a row: [rows, width] and [rows, width / blockSize]. */
function blocksOfRows(table: TensorOf<'float32'>, blockSize: number) {
  const [rows = 0, width = 0] = table.shape;
  const { values, scales } = quantiseBlocks(transpose(table), blockSize);
  return {
    values: tensor('int8', [rows, width], transposeInt8(values, width, rows)),
    scales: transpose(tensor('float32', [width / blockSize, rows], scales)),
  };
}

/** A weight as float16. @throws TENSOR_INVALID that names it, when float16 has no place for one of its numbers */
function storedHalves(name: string, weight: TensorOf<'float32'>): TensorOf<'float16'> {
  const far = beyondHalf(weight.data);
  if (far === undefined) return halves(weight);
  throw new ThalamusError(
    'TENSOR_INVALID',
    `${name} holds ${far}, which float16 cannot: it ends at 65504. Store the weights as float32, or make them smaller.`,
  );
}

/** The values as float16. */
export function halves({ shape, data }: TensorOf<'float32'>): TensorOf<'float16'> {
  return tensor('float16', shape, encodeFloat16(data));
}

/** Rows become columns. */
export function transpose(matrix: TensorOf<'float32'>): TensorOf<'float32'> {
  const [rows = 0, columns = 0] = matrix.shape;
  const data = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      data[column * rows + row] = matrix.data[row * columns + column]!;
  }
  return tensor('float32', [columns, rows], data);
}

/** Rows become columns. */
export function transposeInt8(values: Int8Array, rows: number, columns: number): Int8Array {
  const data = new Int8Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      data[column * rows + row] = values[row * columns + column]!;
  }
  return data;
}
