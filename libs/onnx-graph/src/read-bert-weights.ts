import { ThalamusError } from '@thalamus/errors';
import { decodeFloat16, tensor, type TensorOf } from '@thalamus/tensor';
import { transpose, type BertConfig, type Weights } from './bert-encoder.js';
import type { TensorProto } from './codec/gen/onnx/onnx_pb.js';
import { graphOf, type OnnxModel } from './onnx-model.js';

/** An encoder's sizes and its weights as float32. */
export interface BertWeights {
  readonly config: BertConfig;
  /** Under the names that `buildBertEncoder` takes; token types are zero, since the positions hold theirs already. */
  readonly weights: Weights;
}

const FLOAT32 = 1;
const INT8 = 3;
const INT64 = 7;
const FLOAT16 = 10;
/** Name of the word embeddings [vocabulary, inner]. */
export const WORDS = 'embeddings.word_embeddings.weight';
const POSITIONS = 'embeddings.position_embeddings.weight';

/**
 * Reads back what `buildBertEncoder` has stored, whatever the storage: int8 blocks become value times scale, float16 is
 * widened, linear matrices are [out, in] again. Every delta over a base is a delta over these float32 weights.
 * @throws GRAPH_INVALID when the graph is no encoder that `buildBertEncoder` has made
 */
export function readBertWeights(model: OnnxModel): BertWeights {
  const constants = new Map(graphOf(model).initializer.map((constant) => [constant.name, constant]));
  const words = tableOf(constants, WORDS);
  const positions = tableOf(constants, POSITIONS);
  const [, hiddenSize = 0] = positions.shape;
  const weights = new Map([[WORDS, words]]);
  for (const [stored, constant] of constants) {
    const name = stored.replace(/\.(int8|float16)$/, '');
    if (name === WORDS || !/^(embeddings|encoder)\..*\.(weight|bias)$/.test(name)) continue;
    if (name === POSITIONS) {
      weights.set(name, positions);
      continue;
    }
    const value = matrixOf(constants, constant, name);
    weights.set(name, constant.dims.length === 2 ? transpose(value) : value);
  }
  const types = tensor('float32', [2, hiddenSize], new Float32Array(2 * hiddenSize));
  weights.set('embeddings.token_type_embeddings.weight', types);
  return { config: configOf(model, constants, weights, hiddenSize), weights };
}

/** Constants of a graph by name. */
export type Constants = ReadonlyMap<string, TensorProto>;

function configOf(model: OnnxModel, constants: Constants, weights: Weights, hiddenSize: number): BertConfig {
  const heads = Number(int64Of(need(constants, 'split_shape'))[2]);
  const layerNormEpsilon = epsilonOf(model);
  let layers = 0;
  while (weights.has(`encoder.layer.${layers}.output.dense.weight`)) layers++;
  if (layers === 0 || !Number.isInteger(heads)) return fail('its layers');
  const maxPositions = weights.get(POSITIONS)?.shape[0] ?? fail(POSITIONS);
  return { hiddenSize, layers, heads, maxPositions, layerNormEpsilon };
}

/** What is added to the variance in the layer norms. */
export function epsilonOf(model: OnnxModel): number {
  const norm = graphOf(model).node.find(({ opType }) => opType === 'LayerNormalization');
  const epsilon = norm?.attribute.find(({ name }) => name === 'epsilon')?.f;
  // The attribute is float32: its shortest decimal is what was written.
  return epsilon === undefined ? fail('its layers') : Number(epsilon.toPrecision(7));
}

/**
 * A vector or a linear matrix [in, out] of a graph as float32, whether it is stored as int8 blocks, as float16 or as it is.
 * @throws GRAPH_INVALID when the graph holds no such constant
 */
export function readMatrix(model: OnnxModel, name: string): TensorOf<'float32'> {
  const constants = new Map(graphOf(model).initializer.map((constant) => [constant.name, constant]));
  const stored = ['', '.int8', '.float16'].map((form) => constants.get(`${name}${form}`)).find(Boolean);
  if (stored) return matrixOf(constants, stored, name);
  throw new ThalamusError(
    'GRAPH_INVALID',
    `The graph ${graphOf(model).name} holds no matrix ${name}, neither as int8 or float16 nor as float32; take a graph of the kind that has it.`,
  );
}

/** float32 [rows, width] of an embedding table; int8 values have a scale for each block along the row. */
function tableOf(constants: Constants, name: string): TensorOf<'float32'> {
  const plain = constants.get(name) ?? constants.get(`${name}.float16`);
  if (plain) return float32Of(plain);
  const values = need(constants, `${name}.int8`);
  const scales = float32Of(need(constants, `${name}.scale`));
  const [rows = 0, columns = 0] = values.dims.map(Number);
  const blocks = scales.shape[1] ?? 1;
  const blockSize = columns / blocks;
  const quantised = int8Of(values);
  const data = Float32Array.from(
    quantised,
    (value, at) =>
      value * scales.data[Math.floor(at / columns) * blocks + Math.floor((at % columns) / blockSize)]!,
  );
  return tensor('float32', [rows, columns], data);
}

/** A linear matrix [in, out], or a vector, of a constant that may be stored as int8 or float16. */
export function matrixOf(constants: Constants, constant: TensorProto, name: string): TensorOf<'float32'> {
  if (constant.dataType !== INT8) return float32Of(constant);
  const scales = float32Of(need(constants, `${name}.scale`));
  const [rows = 0, columns = 0] = constant.dims.map(Number);
  const blockSize = rows / (scales.shape[0] ?? 1);
  const quantised = int8Of(constant);
  const data = Float32Array.from(
    quantised,
    (value, at) =>
      value * scales.data[Math.floor(Math.floor(at / columns) / blockSize) * columns + (at % columns)]!,
  );
  return tensor('float32', [rows, columns], data);
}

export function float32Of(constant: TensorProto): TensorOf<'float32'> {
  // A copy: a slice of a Buffer would share memory and begin anywhere.
  const { buffer } = new Uint8Array(constant.rawData);
  const shape = constant.dims.map(Number);
  if (constant.dataType === FLOAT32) return tensor('float32', shape, new Float32Array(buffer));
  if (constant.dataType === FLOAT16) return tensor('float32', shape, decodeFloat16(new Uint16Array(buffer)));
  return fail(`${constant.name}, of the element type ${constant.dataType}`);
}

export function int8Of({ rawData }: TensorProto): Int8Array {
  return new Int8Array(rawData.buffer, rawData.byteOffset, rawData.byteLength);
}

function int64Of(constant: TensorProto): BigInt64Array {
  if (constant.dataType !== INT64) return fail(constant.name);
  return new BigInt64Array(new Uint8Array(constant.rawData).buffer);
}

export function need(constants: Constants, name: string): TensorProto {
  return constants.get(name) ?? fail(name);
}

function fail(what: string): never {
  throw new ThalamusError(
    'GRAPH_INVALID',
    `The graph of the base does not hold ${what} in the form of a BERT encoder of the zoo; convert the base with zoo/scripts/convert-base.mjs.`,
  );
}
