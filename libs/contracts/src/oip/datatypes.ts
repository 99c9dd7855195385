import { DataType as Type } from '../gen/inference/model_config_pb.js';

/** Elements in memory. */
export type OipArray =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

/** How a fixed-width datatype of the Open Inference Protocol stands in bytes, and in JSON. */
export interface OipDatatype {
  /** Bytes of an element. */
  readonly width: number;
  /** In a model configuration. */
  readonly config: Type;
  /** What an element is in JSON; `none` where the protocol has only the binary form. */
  readonly json: 'bool' | 'integer' | 'bigint' | 'float' | 'none';
  /** The elements of bytes that begin at a multiple of the width; no copy. */
  readonly view: (bytes: ArrayBuffer) => OipArray;
}

const row = (
  width: number,
  config: Type,
  json: OipDatatype['json'],
  view: OipDatatype['view'],
): OipDatatype => ({ width, config, json, view });

/** Every datatype but BYTES, whose elements have lengths of their own. FP16 and BF16 stand as their 16 bits. */
export const OIP_DATATYPES = {
  BOOL: row(1, Type.TYPE_BOOL, 'bool', (b) => new Uint8Array(b)),
  UINT8: row(1, Type.TYPE_UINT8, 'integer', (b) => new Uint8Array(b)),
  UINT16: row(2, Type.TYPE_UINT16, 'integer', (b) => new Uint16Array(b)),
  UINT32: row(4, Type.TYPE_UINT32, 'integer', (b) => new Uint32Array(b)),
  UINT64: row(8, Type.TYPE_UINT64, 'bigint', (b) => new BigUint64Array(b)),
  INT8: row(1, Type.TYPE_INT8, 'integer', (b) => new Int8Array(b)),
  INT16: row(2, Type.TYPE_INT16, 'integer', (b) => new Int16Array(b)),
  INT32: row(4, Type.TYPE_INT32, 'integer', (b) => new Int32Array(b)),
  INT64: row(8, Type.TYPE_INT64, 'bigint', (b) => new BigInt64Array(b)),
  FP16: row(2, Type.TYPE_FP16, 'none', (b) => new Uint16Array(b)),
  BF16: row(2, Type.TYPE_BF16, 'none', (b) => new Uint16Array(b)),
  FP32: row(4, Type.TYPE_FP32, 'float', (b) => new Float32Array(b)),
  FP64: row(8, Type.TYPE_FP64, 'float', (b) => new Float64Array(b)),
} as const satisfies Record<string, OipDatatype>;

/** Name of a fixed-width datatype. */
export type OipDatatypeName = keyof typeof OIP_DATATYPES;

/** The datatype of a name; undefined for BYTES and for names that nobody knows. */
export function oipDatatypeOf(name: string): OipDatatype | undefined {
  return Object.hasOwn(OIP_DATATYPES, name) ? OIP_DATATYPES[name as OipDatatypeName] : undefined;
}

/** Names that a request may use, for messages. */
export const OIP_DATATYPE_NAMES = ['BYTES', ...Object.keys(OIP_DATATYPES)].join(', ');

/** Most elements of one tensor; larger claims are refused before anything is allocated. */
export const MAX_TENSOR_ELEMENTS = 16 * 1024 * 1024;
