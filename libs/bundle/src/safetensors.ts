import { ThalamusError } from '@thalamus/errors';
import { encodeFloat16, fromFloat16Bits } from '@thalamus/tensor';

/** Element types that are read and written; widths in bytes. */
const WIDTH_BYTES = { F32: 4, F16: 2, I32: 4, I64: 8 } as const;

/** Element type as safetensors names it. */
export type SafetensorsType = keyof typeof WIDTH_BYTES;

/** One tensor as stored: little-endian bytes in row-major order. */
export interface StoredTensor {
  /** Element type. */
  readonly type: SafetensorsType;
  /** Sizes of the dimensions. */
  readonly shape: readonly number[];
  /** Exactly product(shape) elements. */
  readonly bytes: Uint8Array;
}

/** Tensors by name, with the file's free-form text facts. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

const MAX_HEADER_BYTES = 16 * 1024 * 1024;
const MAX_DIMENSIONS = 8;

/** A float32 tensor for writing. */
export function float32Tensor(shape: readonly number[], values: Float32Array): StoredTensor {
  return { type: 'F32', shape, bytes: littleEndianBytes(values) };
}

/** A float16 tensor for writing, rounded from float32 values. */
export function float16Tensor(shape: readonly number[], values: Float32Array): StoredTensor {
  return { type: 'F16', shape, bytes: littleEndianBytes(encodeFloat16(values)) };
}

/** Values of a stored float tensor as float32, in `into` when it is given. BUNDLE_INVALID for an integer tensor. */
export function toFloat32(
  { type, shape, bytes }: StoredTensor,
  into: Float32Array = new Float32Array(elements(shape)),
): Float32Array {
  // Tensors of a file need not lie where a typed array could begin.
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case 'F32':
      for (let i = 0; i < into.length; i++) into[i] = view.getFloat32(4 * i, true);
      return into;
    case 'F16':
      for (let i = 0; i < into.length; i++) into[i] = fromFloat16Bits(view.getUint16(2 * i, true));
      return into;
    case 'I32':
    case 'I64':
      throw broken(`a tensor of type ${type} was found where floats are needed`);
  }
}

/** A named tensor as float32 with an expected shape (-1 for any size). BUNDLE_INVALID when absent or different. */
export function requireFloat32(file: Safetensors, name: string, shape: readonly number[]): Float32Array {
  const stored = file.tensors.get(name);
  if (stored === undefined) throw broken(`tensor ${name} is missing`);
  const fits =
    stored.shape.length === shape.length &&
    shape.every((size, axis) => size < 0 || size === stored.shape[axis]);
  if (!fits)
    throw broken(`tensor ${name} has shape [${stored.shape.join()}] where [${shape.join()}] is needed`);
  return toFloat32(stored);
}

/** Bytes of a safetensors file. Deterministic: tensors and facts are sorted by name. */
export function writeSafetensors(
  tensors: Readonly<Record<string, StoredTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const names = Object.keys(tensors).sort();
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) {
    header['__metadata__'] = Object.fromEntries(
      Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  }
  let offset = 0;
  const parts: Uint8Array[] = [];
  for (const name of names) {
    const stored = tensors[name];
    if (stored === undefined) continue;
    const expected = elements(stored.shape) * WIDTH_BYTES[stored.type];
    if (stored.bytes.byteLength !== expected) {
      throw broken(`tensor ${name} has ${stored.bytes.byteLength} bytes where its shape needs ${expected}`);
    }
    header[name] = { dtype: stored.type, shape: stored.shape, data_offsets: [offset, offset + expected] };
    parts.push(stored.bytes);
    offset += expected;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerLength = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + headerLength + offset).fill(0x20, 8, 8 + headerLength);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.set(json, 8);
  let at = 8 + headerLength;
  for (const part of parts) {
    file.set(part, at);
    at += part.byteLength;
  }
  return file;
}

/**
 * Reads a safetensors file from untrusted bytes. BUNDLE_INVALID when the header is too long, is not JSON, names an
 * unsupported type, or when tensors overlap, leave gaps or reach outside of the file.
 */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  if (bytes.byteLength < 8) throw broken('the file is shorter than its 8-byte header length');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const declared = view.getBigUint64(0, true);
  if (declared > BigInt(Math.min(MAX_HEADER_BYTES, bytes.byteLength - 8))) {
    throw broken(`the header claims ${declared} bytes, more than the file or the limit allows`);
  }
  const dataStart = 8 + Number(declared);
  const header = parseHeader(bytes.subarray(8, dataStart));
  const data = bytes.subarray(dataStart);
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  const placed = entries.map(([name, value]) => ({ name, ...parseEntry(name, value) }));
  placed.sort((a, b) => a.start - b.start || a.end - b.end);
  let next = 0;
  for (const { name, start, end } of placed) {
    if (start !== next) throw broken(`tensor ${name} starts at byte ${start} where ${next} is expected`);
    next = end;
  }
  if (next !== data.byteLength)
    throw broken(`the data has ${data.byteLength} bytes where the header describes ${next}`);
  const tensors = new Map(
    placed.map(({ name, type, shape, start, end }) => [
      name,
      { type, shape, bytes: data.subarray(start, end) },
    ]),
  );
  return { tensors, metadata: parseMetadata(header['__metadata__']) };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw broken('the header is not JSON in UTF-8', cause);
  }
  if (!isRecord(value)) throw broken('the header is not a JSON object');
  return value;
}

function parseEntry(name: string, value: unknown) {
  if (!isRecord(value)) throw broken(`the entry of tensor ${name} is not an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(WIDTH_BYTES, dtype)) {
    throw broken(
      `tensor ${name} has type ${String(dtype)}; supported are ${Object.keys(WIDTH_BYTES).join(', ')}`,
    );
  }
  const type = dtype as SafetensorsType;
  if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) throw broken(`tensor ${name} has no usable shape`);
  if (!isSizes(offsets) || offsets.length !== 2) throw broken(`tensor ${name} has no usable data_offsets`);
  const [start = 0, end = 0] = offsets;
  if (end - start !== elements(shape) * WIDTH_BYTES[type]) {
    throw broken(
      `tensor ${name} spans ${end - start} bytes, which is not what shape [${shape.join()}] needs`,
    );
  }
  return { type, shape, start, end };
}

function parseMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value) || Object.values(value).some((text) => typeof text !== 'string')) {
    throw broken('__metadata__ must map text to text');
  }
  return value as Record<string, string>;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function littleEndianBytes(values: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
}

function broken(reason: string, cause?: unknown): ThalamusError {
  return new ThalamusError('BUNDLE_INVALID', `Not a usable safetensors file: ${reason}. Export it again.`, {
    violations: [{ field: 'safetensors', description: reason }],
    cause,
  });
}
