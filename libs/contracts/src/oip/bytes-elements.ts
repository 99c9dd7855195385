import { ThalamusError } from '@thalamus/errors';

/**
 * The elements of a BYTES tensor in raw form: each a 4-byte little-endian length and that many bytes. Views into `raw`.
 * @param count what the shape says; no more are read
 * @throws TENSOR_INVALID naming the tensor when it breaks off, or holds more; fewer are for the caller to see
 */
export function splitBytesElements(raw: Uint8Array, input: string, count: number): Uint8Array[] {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const parts: Uint8Array[] = [];
  let position = 0;
  while (position < raw.byteLength) {
    if (parts.length === count)
      throw invalid(input, `has more elements than its shape, which needs ${count}`);
    if (position + 4 > raw.byteLength) throw invalid(input, 'is cut off: it ends in the middle of a length');
    const length = view.getUint32(position, true);
    position += 4;
    if (position + length > raw.byteLength)
      throw invalid(
        input,
        `is cut off: it claims an element of ${length} bytes, but only ${raw.byteLength - position} are left`,
      );
    parts.push(raw.subarray(position, position + length));
    position += length;
  }
  return parts;
}

/** The raw form of the elements of a BYTES tensor. */
export function joinBytesElements(elements: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(elements.reduce((sum, element) => sum + 4 + element.byteLength, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const element of elements) {
    view.setUint32(at, element.byteLength, true);
    bytes.set(element, at + 4);
    at += 4 + element.byteLength;
  }
  return bytes;
}

function invalid(input: string, reason: string): ThalamusError {
  return new ThalamusError('TENSOR_INVALID', `Input ${input} ${reason}.`, {
    violations: [{ field: input, description: reason }],
  });
}
