import { ThalamusError } from '@thalamus/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  float16Tensor,
  float32Tensor,
  readSafetensors,
  requireFloat32,
  toFloat32,
  writeSafetensors,
  type StoredTensor,
} from './safetensors.js';

const entry = (dtype: string, shape: unknown, start: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [start, end],
});

/** A file with any header over a number of data bytes. */
function file(header: unknown, dataBytes: number, declared?: bigint): Uint8Array {
  const json = typeof header === 'string' ? header : JSON.stringify(header);
  const text = new TextEncoder().encode(json);
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, declared ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

function refusal(bytes: Uint8Array): string {
  try {
    readSafetensors(bytes);
  } catch (error) {
    if (ThalamusError.is(error) && error.code === 'BUNDLE_INVALID') return error.message;
    throw error;
  }
  throw new Error('the file was accepted');
}

describe('safetensors', () => {
  const values = new Float32Array([1, -2, 0.333333, 65_504]);

  it('keeps tensors and facts, and lays them out as the format says', () => {
    const bytes = writeSafetensors(
      {
        b: float32Tensor([2, 2], values),
        a: float16Tensor([4], values),
        none: float32Tensor([0], new Float32Array(0)),
      },
      { z: 'last', origin: 'ä' },
    );
    const view = new DataView(bytes.buffer);
    const headerLength = Number(view.getBigUint64(0, true));
    expect(headerLength % 8).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength))) as unknown;
    expect(header).toEqual({
      __metadata__: { origin: 'ä', z: 'last' },
      a: entry('F16', [4], 0, 8),
      b: entry('F32', [2, 2], 8, 24),
      none: entry('F32', [0], 24, 24),
    });
    const read = readSafetensors(bytes);
    expect(read.metadata).toEqual({ origin: 'ä', z: 'last' });
    expect([...toFloat32(read.tensors.get('b')!)]).toEqual([...values]);
    expect([...toFloat32(read.tensors.get('a')!)]).toEqual([1, -2, 0.333251953125, 65_504]);
    expect(read.tensors.get('none')!.bytes.length).toBe(0);
  });

  it('reads from a view that does not begin on a word', () => {
    const bytes = writeSafetensors({ a: float32Tensor([4], values) });
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect([...toFloat32(readSafetensors(shifted.subarray(3)).tensors.get('a')!)]).toEqual([...values]);
  });

  it('writes the same bytes for the same tensors, whatever their order', () => {
    const [a, b] = [float32Tensor([4], values), float32Tensor([1], new Float32Array(1))];
    expect(writeSafetensors({ a, b })).toEqual(writeSafetensors({ b, a }));
    const wrong: StoredTensor = { ...a, shape: [5] };
    expect(() => writeSafetensors({ wrong })).toThrow('has 16 bytes where its shape needs 20');
  });

  it('gives a tensor by name and shape', () => {
    const read = readSafetensors(
      writeSafetensors({
        a: float32Tensor([2, 2], values),
        i: { type: 'I32', shape: [1], bytes: new Uint8Array(4) },
      }),
    );
    expect([...requireFloat32(read, 'a', [2, -1])]).toEqual([...values]);
    expect(() => requireFloat32(read, 'a', [4])).toThrow('has shape [2,2] where [4] is needed');
    expect(() => requireFloat32(read, 'c', [4])).toThrow('tensor c is missing');
    expect(() => requireFloat32(read, 'i', [1])).toThrow('type I32');
  });

  it.each([
    ['an empty file', new Uint8Array(0), 'shorter than'],
    ['seven bytes', new Uint8Array(7), 'shorter than'],
    ['a header longer than the file', file({}, 0, 3n), 'claims 3 bytes'],
    ['a header of 2^63 bytes', file({}, 0, 2n ** 63n), 'claims 9223372036854775808 bytes'],
    ['a header above the limit', file('{}', 20_000_000, 17_000_000n), 'claims 17000000 bytes'],
    ['a header that is no JSON', file('{', 0), 'not JSON'],
    ['a header that is no UTF-8', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xff), 'not JSON in UTF-8'],
    ['a header that is a list', file([], 0), 'not a JSON object'],
    ['an entry that is no object', file({ a: 3 }, 0), 'is not an object'],
    ['an unknown dtype', file({ a: entry('F8_E4M3', [1], 0, 1) }, 1), 'type F8_E4M3'],
    ['a dtype of the prototype', file({ a: entry('toString', [1], 0, 1) }, 1), 'type toString'],
    ['no dtype', file({ a: { shape: [1], data_offsets: [0, 4] } }, 4), 'type undefined'],
    ['a negative size', file({ a: entry('F32', [-1], 0, 4) }, 4), 'no usable shape'],
    ['a fractional size', file({ a: entry('F32', [0.5], 0, 2) }, 2), 'no usable shape'],
    ['nine dimensions', file({ a: entry('F32', new Array(9).fill(1), 0, 4) }, 4), 'no usable shape'],
    ['sizes that overflow', file({ a: entry('F32', [2 ** 52, 2 ** 52], 0, 4) }, 4), 'spans 4 bytes'],
    [
      'sizes that overflow to nothing',
      file({ a: entry('F32', [2 ** 52, 2 ** 52, 0], 0, 4) }, 4),
      'spans 4 bytes',
    ],
    ['offsets that run backwards', file({ a: entry('F32', [1], 4, 0) }, 4), 'spans -4 bytes'],
    ['a negative offset', file({ a: entry('F32', [1], -4, 0) }, 4), 'no usable data_offsets'],
    [
      'three offsets',
      file({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 8] } }, 8),
      'no usable data_offsets',
    ],
    ['data beyond the end', file({ a: entry('F32', [2], 0, 8) }, 4), 'the data has 4 bytes where'],
    ['data that nobody describes', file({ a: entry('F32', [1], 0, 4) }, 8), 'the data has 8 bytes where'],
    [
      'overlapping tensors',
      file({ a: entry('F32', [2], 0, 8), b: entry('F32', [1], 4, 8) }, 8),
      'starts at byte 4',
    ],
    [
      'the same bytes twice',
      file({ a: entry('F32', [1], 0, 4), b: entry('F32', [1], 0, 4) }, 4),
      'starts at byte 0',
    ],
    ['a hole', file({ a: entry('F32', [1], 0, 4), b: entry('F32', [1], 8, 12) }, 12), 'starts at byte 8'],
    ['facts that are no text', file({ __metadata__: { a: 1 } }, 0), '__metadata__'],
  ])('refuses %s', (_, bytes, reason) => {
    expect(refusal(bytes)).toContain(reason);
  });
});

describe('readSafetensors on foreign bytes', () => {
  const sound = writeSafetensors(
    {
      'head.weight': float32Tensor([2, 4], new Float32Array(8)),
      'head.bias': float16Tensor([2], new Float32Array(2)),
    },
    { origin: 'test' },
  );
  const runs = { seed: 99, numRuns: 500 };
  const verdict = (bytes: Uint8Array) => {
    try {
      const { tensors } = readSafetensors(bytes);
      return [...tensors.values()].reduce((sum, tensor) => sum + tensor.bytes.length, 0);
    } catch (error) {
      if (ThalamusError.is(error) && error.code === 'BUNDLE_INVALID') return 'refused';
      throw error;
    }
  };

  it('refuses random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(verdict(bytes)).toBe('refused');
      }),
      runs,
    );
  });

  it('refuses every cut of a sound file', () => {
    for (let length = 0; length < sound.length; length++)
      expect(verdict(sound.subarray(0, length))).toBe('refused');
    expect(verdict(sound)).toBe(36);
  });

  it('hands out no byte twice and none from outside when the header is changed', () => {
    const edits = fc.array(fc.tuple(fc.nat(sound.length - 1), fc.integer({ min: 32, max: 126 })), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(edits, (changes) => {
        const bytes = sound.slice();
        for (const [at, value] of changes) bytes[at] = value;
        expect(['refused', 36]).toContain(verdict(bytes));
      }),
      runs,
    );
  });
});
