import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJsonObject } from '../json/read-json.js';
import { joinBytesElements, splitBytesElements } from './bytes-elements.js';
import { OIP_DATATYPES, type OipDatatypeName } from './datatypes.js';
import { readInferRequest } from './infer-request.js';
import { writeInferResponse } from './infer-response.js';
import { jsonOfRaw, rawOfJson } from './json-tensors.js';

const RUNS = { numRuns: 200 };
const head = (datatype: string, shape: readonly number[]) => ({
  name: 'x',
  datatype,
  shape: shape.map(BigInt),
});

/** Elements of each datatype, as JSON has them once it has been read. */
const ELEMENTS: Record<OipDatatypeName | 'BYTES', fc.Arbitrary<unknown> | undefined> = {
  BOOL: fc.boolean(),
  UINT8: fc.integer({ min: 0, max: 255 }),
  UINT16: fc.integer({ min: 0, max: 65_535 }),
  UINT32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  UINT64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  INT8: fc.integer({ min: -128, max: 127 }),
  INT16: fc.integer({ min: -32_768, max: 32_767 }),
  INT32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  INT64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  FP16: undefined,
  BF16: undefined,
  FP32: fc.float({ noNaN: true, noDefaultInfinity: true }),
  FP64: fc.double({ noNaN: true, noDefaultInfinity: true }),
  BYTES: fc.string({ unit: 'binary' }),
};

/** Nested lists as a shape says. */
function nested(flat: readonly unknown[], shape: readonly number[]): unknown {
  if (shape.length === 0) return flat[0];
  const [count = 0, ...inner] = shape;
  const size = inner.reduce((product, length) => product * length, 1);
  return Array.from({ length: count }, (_, index) =>
    nested(flat.slice(index * size, (index + 1) * size), inner),
  );
}

describe.each(Object.entries(ELEMENTS))('the elements of %s', (datatype, element) => {
  it('go from raw to JSON text and back to the same bytes, or have no form in JSON', () => {
    if (!element) {
      expect(() => rawOfJson(head(datatype, [1]), [1])).toThrow('no form in JSON');
      expect(() => jsonOfRaw(head(datatype, [1]), new Uint8Array(2))).toThrow('no form for');
      return;
    }
    fc.assert(
      fc.property(fc.array(element, { maxLength: 20 }), (elements) => {
        const shape = head(datatype, [elements.length]);
        const raw = rawOfJson(shape, elements);
        const text = `{"data":${jsonOfRaw(shape, raw)}}`;
        const { data } = readJsonObject(Buffer.from(text), 'exact');
        expect(Buffer.from(rawOfJson(shape, data)).equals(raw)).toBe(true);
        const width = datatype === 'BYTES' ? 0 : OIP_DATATYPES[datatype as OipDatatypeName].width;
        if (width > 0) expect(raw.byteLength).toBe(elements.length * width);
      }),
      RUNS,
    );
  });

  it('keep a byte order mark at their beginning', () => {
    if (datatype !== 'BYTES') return;
    const shape = head(datatype, [1]);
    const raw = rawOfJson(shape, ['\uFEFFab']);
    expect(JSON.parse(jsonOfRaw(shape, raw))).toEqual(['\uFEFFab']);
  });

  it('are the same nested and flat', () => {
    if (!element) return;
    const shapes = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(shapes, fc.array(element, { minLength: 81, maxLength: 81 }), (shape, pool) => {
        const flat = pool.slice(
          0,
          shape.reduce((product, size) => product * size, 1),
        );
        const of = head(datatype, shape);
        // Lists that hold nothing have no depth of their own when the first size is 0.
        if (shape[0] === 0) return;
        expect([...rawOfJson(of, nested(flat, shape))]).toEqual([...rawOfJson(of, flat)]);
      }),
      { numRuns: 50 },
    );
  });
});

describe('elements of BYTES in raw form', () => {
  it('come apart as they were joined', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 9 }), (elements) => {
        const parts = splitBytesElements(joinBytesElements(elements), 'x', elements.length);
        expect(parts.map((part) => [...part])).toEqual(elements.map((part) => [...part]));
      }),
      RUNS,
    );
  });

  it('never read beyond their bytes, whatever these are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(5), (raw, count) => {
        try {
          const parts = splitBytesElements(raw, 'x', count);
          expect(parts.length).toBeLessThanOrEqual(count);
          expect(Buffer.from(joinBytesElements(parts)).equals(raw)).toBe(true);
        } catch (fault) {
          expect(fault).toMatchObject({ code: 'TENSOR_INVALID' });
        }
      }),
      RUNS,
    );
  });
});

describe('a body with binary inputs', () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 5 });
  it('gives each input its own bytes, in order', () => {
    const inputs = names.chain((list) =>
      fc.tuple(
        ...list.map((name) =>
          fc.record({ name: fc.constant(name), bytes: fc.uint8Array({ maxLength: 32 }) }),
        ),
      ),
    );
    fc.assert(
      fc.property(inputs, fc.string(), (list, id) => {
        const json = Buffer.from(
          JSON.stringify({
            id,
            inputs: list.map(({ name, bytes }) => ({
              name,
              datatype: 'UINT8',
              shape: [bytes.byteLength],
              parameters: { binary_data_size: bytes.byteLength },
            })),
          }),
        );
        const body = Buffer.concat([json, ...list.map(({ bytes }) => bytes)]);
        const of = { modelName: 'm', modelVersion: '', headerLength: String(json.byteLength) };
        const { request } = readInferRequest(body, of);
        expect(request.id).toBe(id);
        expect(request.rawInputContents.map((raw) => [...raw])).toEqual(list.map(({ bytes }) => [...bytes]));
      }),
      RUNS,
    );
  });

  it('of any bytes is read, or refused with one of our codes', () => {
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.json().map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(body, fc.option(fc.nat(80).map(String), { nil: undefined }), (bytes, headerLength) => {
        try {
          readInferRequest(bytes, { modelName: 'm', modelVersion: '', headerLength });
        } catch (fault) {
          expect(['REQUEST_INVALID', 'TENSOR_INVALID']).toContain((fault as { code?: unknown }).code);
        }
      }),
      RUNS,
    );
  });
});

describe('a body that answers', () => {
  it('has the outputs that were wished in binary form behind its JSON, the others in it', () => {
    const outputs = fc.array(
      fc.record({ values: fc.array(fc.integer({ min: -9, max: 9 })), isBinary: fc.boolean() }),
      {
        maxLength: 5,
      },
    );
    fc.assert(
      fc.property(outputs, (list) => {
        const named = list.map((output, index) => ({ ...output, name: `y${index}` }));
        const answer = {
          modelName: 'm',
          id: '7',
          outputs: named.map(({ name, values }) => ({
            name,
            datatype: 'INT32',
            shape: [BigInt(values.length)],
          })),
          rawOutputContents: named.map(({ values }) => new Uint8Array(Int32Array.from(values).buffer)),
        };
        const of = new Map(named.map(({ name, isBinary }) => [name, isBinary]));
        const { body, headerLength } = writeInferResponse(answer, { isDefault: true, of });
        const length = headerLength ?? body.byteLength;
        const json = JSON.parse(Buffer.from(body.subarray(0, length)).toString()) as {
          id: string;
          outputs: { data?: number[]; parameters?: { binary_data_size: number } }[];
        };
        expect(json.id).toBe('7');
        let at = length;
        const back = json.outputs.map(({ data, parameters }) => {
          const size = parameters?.binary_data_size ?? 0;
          at += size;
          return data ?? [...new Int32Array(new Uint8Array(body.subarray(at - size, at)).buffer)];
        });
        expect(back).toEqual(named.map(({ values }) => values));
        expect(at).toBe(body.byteLength);
      }),
      RUNS,
    );
  });

  it('takes typed contents as well as raw ones', () => {
    const cases = [
      ['BYTES', { bytesContents: [Buffer.from('a'), Buffer.from('')] }, ['a', '']],
      ['FP32', { fp32Contents: [0.5] }, [0.5]],
      ['INT64', { int64Contents: [3n] }, [3]],
      ['BOOL', { boolContents: [true, false] }, [true, false]],
    ] as const;
    for (const [datatype, contents, data] of cases) {
      const shape = [BigInt(data.length)];
      const answer = { outputs: [{ name: 'y', datatype, shape, contents: contents as object }] };
      const { body } = writeInferResponse(answer, { isDefault: false, of: new Map() });
      expect((JSON.parse(Buffer.from(body).toString()) as { outputs: unknown[] }).outputs).toMatchObject([
        { data },
      ]);
    }
  });

  it.each([
    ['NaN', 'FP32', Float32Array.of(NaN)],
    ['bytes that are not UTF-8', 'BYTES', Uint8Array.of(1, 0, 0, 0, 0xff)],
    ['FP16', 'FP16', Uint16Array.of(1)],
  ] as const)('refuses %s in JSON', (_what, datatype, { buffer }) => {
    const answer = {
      outputs: [{ name: 'y', datatype, shape: [1n] }],
      rawOutputContents: [new Uint8Array(buffer)],
    };
    expect(() => writeInferResponse(answer, { isDefault: false, of: new Map() })).toThrow(
      '"binary_data": true',
    );
    expect(writeInferResponse(answer, { isDefault: true, of: new Map() }).headerLength).toBeGreaterThan(0);
  });
});
