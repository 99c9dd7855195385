import { ThalamusError } from '@thalamus/errors';
import { writeJson } from '../json/read-json.js';
import { joinBytesElements, splitBytesElements } from './bytes-elements.js';
import { MAX_TENSOR_ELEMENTS, OIP_DATATYPE_NAMES, oipDatatypeOf, type OipDatatype } from './datatypes.js';

/** What a tensor says of itself before its elements are looked at. */
export interface TensorHead {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly bigint[];
}

const encoder = new TextEncoder();
// A byte order mark at the beginning of an element is a part of it.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The raw form of a tensor whose elements stand in JSON, flat or nested as the shape says. Nothing is allocated before the
 * number of elements is known to be what the shape needs.
 * @throws TENSOR_INVALID for an unknown datatype, one that JSON has no form for, a shape that does not fit, or a wrong element
 */
export function rawOfJson(head: TensorHead, data: unknown): Uint8Array<ArrayBuffer> {
  const { datatype } = head;
  const kind = oipDatatypeOf(datatype);
  if (!kind && datatype !== 'BYTES')
    throw invalid(
      head,
      `has the unknown datatype "${datatype.slice(0, 16)}"; known are ${OIP_DATATYPE_NAMES}`,
    );
  if (kind?.json === 'none')
    throw invalid(head, `is ${datatype}, which has no form in JSON; send it as binary data`);
  const shape = sizesOf(head);
  const count = shape.reduce((product, size) => product * size, 1);
  if (count > MAX_TENSOR_ELEMENTS)
    throw invalid(head, `has ${count} elements by its shape; at most ${MAX_TENSOR_ELEMENTS} are taken`);
  const elements = flatten(head, data, shape, count);
  return kind ? rawNumbers(head, kind, elements) : rawTexts(head, elements);
}

function sizesOf(head: TensorHead): number[] {
  return head.shape.map((size) => {
    if (size < 0n || size > BigInt(MAX_TENSOR_ELEMENTS))
      throw invalid(head, `has the impossible size ${size} in its shape`);
    return Number(size);
  });
}

/** Flat data as it stands; nested data with every list as long as the shape says. */
function flatten(
  head: TensorHead,
  data: unknown,
  shape: readonly number[],
  count: number,
): readonly unknown[] {
  if (!Array.isArray(data)) throw invalid(head, 'has data that is no list');
  const isNested = shape.length > 1 && data.some((entry) => Array.isArray(entry));
  if (!isNested) {
    if (data.length !== count)
      throw invalid(head, `has ${data.length} elements, but its shape needs ${count}`);
    return data as readonly unknown[];
  }
  let level: readonly unknown[] = [data];
  for (const [depth, size] of shape.entries()) {
    for (const list of level)
      if (!Array.isArray(list) || list.length !== size)
        throw invalid(
          head,
          `has data whose lists at depth ${depth} are not all of ${size} entries, as its shape says`,
        );
    level = level.flat();
  }
  return level;
}

function rawNumbers(
  head: TensorHead,
  kind: OipDatatype,
  elements: readonly unknown[],
): Uint8Array<ArrayBuffer> {
  const buffer = new ArrayBuffer(elements.length * kind.width);
  const target = kind.view(buffer) as { [index: number]: unknown };
  elements.forEach((element, index) => {
    const value = numberOf(kind.json, element);
    target[index] = value;
    const stored = target[index];
    // What does not fit wraps around, or becomes infinite.
    const fits = kind.json === 'float' ? Number.isFinite(stored) : stored === value;
    if (value === undefined || !fits)
      throw invalid(head, `has an element at ${index} that is no ${head.datatype}`);
  });
  return new Uint8Array(buffer);
}

/** The element as its array takes it; undefined for one of another kind. */
function numberOf(json: OipDatatype['json'], element: unknown): number | bigint | undefined {
  switch (json) {
    case 'bool':
      return typeof element === 'boolean' ? Number(element) : undefined;
    case 'float':
      return typeof element === 'number' || typeof element === 'bigint' ? Number(element) : undefined;
    case 'integer':
      return typeof element === 'number' && Number.isInteger(element) ? element + 0 : undefined;
    case 'bigint':
      if (typeof element === 'bigint') return element;
      return typeof element === 'number' && Number.isSafeInteger(element) ? BigInt(element) : undefined;
    case 'none':
      return undefined;
  }
}

function rawTexts(head: TensorHead, elements: readonly unknown[]): Uint8Array<ArrayBuffer> {
  return joinBytesElements(
    elements.map((element, index) => {
      if (typeof element !== 'string' || !element.isWellFormed())
        throw invalid(
          head,
          `has an element at ${index} that is no text; other bytes are sent as binary data`,
        );
      return encoder.encode(element);
    }),
  );
}

/**
 * The JSON text of the elements of a raw tensor: one flat list, in row-major order.
 * @throws TENSOR_INVALID for what JSON has no form for: FP16, BF16, numbers that are not finite, bytes that are not UTF-8
 */
export function jsonOfRaw({ name, datatype, shape }: TensorHead, raw: Uint8Array): string {
  const none = (what: string) =>
    new ThalamusError(
      'TENSOR_INVALID',
      `Output ${name} ${what}, which JSON has no form for; ask for it with "binary_data": true.`,
      { violations: [{ field: `outputs.${name}`, description: what }] },
    );
  if (datatype === 'BYTES') {
    const count = Number(shape.reduce((product, size) => product * size, 1n));
    const texts = splitBytesElements(raw, name, count).map((element) => {
      try {
        return decoder.decode(element);
      } catch {
        throw none('has bytes that are not UTF-8');
      }
    });
    return JSON.stringify(texts);
  }
  const kind = oipDatatypeOf(datatype);
  if (!kind || kind.json === 'none') throw none(`is ${datatype}`);
  // A copy: the bytes of a message begin anywhere.
  const elements = kind.view(new Uint8Array(raw).buffer);
  if (elements instanceof BigInt64Array || elements instanceof BigUint64Array)
    return `[${elements.join(',')}]`;
  const list = Array.from<number>(elements);
  if (kind.json === 'bool') return JSON.stringify(list.map((element) => element !== 0));
  if (kind.json !== 'float') return JSON.stringify(list);
  if (!list.every(Number.isFinite)) throw none('has an element that is not finite');
  // JSON.stringify drops the sign of zero.
  return list.some((element) => Object.is(element, -0)) ? writeJson(list) : JSON.stringify(list);
}

function invalid({ name }: TensorHead, reason: string): ThalamusError {
  return new ThalamusError('TENSOR_INVALID', `Input ${name} ${reason}.`, {
    violations: [{ field: name, description: reason }],
  });
}
