import { ThalamusError } from '@thalamus/errors';
import { decodeFloat16, encodeFloat16, elementCount, tensor, type TensorOf } from '@thalamus/tensor';

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const WIDTH: Readonly<Record<string, number>> = { F32: 4, F16: 2, I64: 8, I32: 4, I8: 1, U8: 1 };

/** Tensors of a safetensors file by name; binary16 is widened to float32. */
export type TensorFile = ReadonlyMap<string, TensorOf<'float32'>>;

/**
 * Reads a safetensors file (F32 and F16). Offsets are checked against the file: no gap, no overlap, no lie.
 * @throws BUNDLE_INVALID that names the tensor.
 */
export function readSafetensors(bytes: Uint8Array, label = 'safetensors file'): TensorFile {
  const { header, start } = readHeader(bytes, label);
  const tensors = new Map<string, TensorOf<'float32'>>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = entry.data_offsets;
    const width = WIDTH[entry.dtype];
    const count = elementCount(entry.shape);
    if (width === undefined || from < 0 || to > bytes.byteLength - start || to - from !== count * width) {
      fail(
        label,
        `tensor ${name} of type ${entry.dtype} and shape [${entry.shape.join(', ')}] does not fit its bytes ${from} to ${to}`,
      );
    }
    const raw = new Uint8Array(bytes.subarray(start + from, start + to));
    if (entry.dtype === 'F32')
      tensors.set(name, tensor('float32', entry.shape, new Float32Array(raw.buffer)));
    else if (entry.dtype === 'F16')
      tensors.set(name, tensor('float32', entry.shape, decodeFloat16(new Uint16Array(raw.buffer))));
  }
  return tensors;
}

function readHeader(bytes: Uint8Array, label: string): { header: Record<string, Entry>; start: number } {
  if (bytes.byteLength < 8) fail(label, 'it is shorter than its header');
  const size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (size > bytes.byteLength - 8 || size > 100_000_000) fail(label, `its header claims ${size} bytes`);
  try {
    const header = JSON.parse(
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + size)),
    ) as Record<string, Entry>;
    return { header, start: 8 + size };
  } catch {
    return fail(label, 'its header is not JSON');
  }
}

/** How tensors are stored. */
export type Precision = 'float32' | 'float16';

/** Writes tensors in the order of their names; the same tensors give the same bytes. */
export function writeSafetensors(tensors: TensorFile, precision: Precision): Uint8Array {
  const header: Record<string, Entry> = {};
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const name of [...tensors.keys()].sort()) {
    const value = tensors.get(name) as TensorOf<'float32'>;
    const stored = precision === 'float32' ? value.data : encodeFloat16(value.data);
    const chunk = new Uint8Array(stored.buffer as ArrayBuffer, stored.byteOffset, stored.byteLength);
    header[name] = {
      dtype: precision === 'float32' ? 'F32' : 'F16',
      shape: value.shape,
      data_offsets: [offset, offset + chunk.byteLength],
    };
    chunks.push(chunk);
    offset += chunk.byteLength;
  }
  let text = JSON.stringify(header);
  text += ' '.repeat((8 - (text.length % 8)) % 8);
  const head = new TextEncoder().encode(text);
  const result = new Uint8Array(8 + head.byteLength + offset);
  new DataView(result.buffer).setBigUint64(0, BigInt(head.byteLength), true);
  result.set(head, 8);
  let position = 8 + head.byteLength;
  for (const chunk of chunks) {
    result.set(chunk, position);
    position += chunk.byteLength;
  }
  return result;
}

function fail(label: string, reason: string): never {
  throw new ThalamusError(
    'BUNDLE_INVALID',
    `The ${label} is not usable: ${reason}. Fetch or export it again.`,
  );
}
