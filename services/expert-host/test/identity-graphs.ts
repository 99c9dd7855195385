import { GraphBuilder } from '@thalamus/onnx-graph';
import { encodeFloat16, type DataType } from '@thalamus/tensor';
import { writePicoGraph } from '@thalamus/testing';
import { rawTexts, type Registry } from './host-harness.js';

const bytesOf = (values: { readonly buffer: ArrayBufferLike }) =>
  new Uint8Array(values.buffer as ArrayBuffer);

/** Two elements of every datatype: as typed contents, where the protocol has a field for them, and raw. */
export const DATATYPES: Record<
  string,
  { dtype: DataType; contents?: Record<string, unknown>; raw: Uint8Array }
> = {
  BOOL: { dtype: 'bool', contents: { boolContents: [true, false] }, raw: Uint8Array.of(1, 0) },
  UINT8: { dtype: 'uint8', contents: { uintContents: [0, 255] }, raw: Uint8Array.of(0, 255) },
  UINT16: {
    dtype: 'uint16',
    contents: { uintContents: [0, 65_535] },
    raw: bytesOf(Uint16Array.of(0, 65_535)),
  },
  UINT32: {
    dtype: 'uint32',
    contents: { uintContents: [0, 2 ** 32 - 1] },
    raw: bytesOf(Uint32Array.of(0, 2 ** 32 - 1)),
  },
  UINT64: {
    dtype: 'uint64',
    contents: { uint64Contents: [0n, 2n ** 64n - 1n] },
    raw: bytesOf(BigUint64Array.of(0n, 2n ** 64n - 1n)),
  },
  INT8: { dtype: 'int8', contents: { intContents: [-128, 127] }, raw: bytesOf(Int8Array.of(-128, 127)) },
  INT16: {
    dtype: 'int16',
    contents: { intContents: [-32_768, 32_767] },
    raw: bytesOf(Int16Array.of(-32_768, 32_767)),
  },
  INT32: {
    dtype: 'int32',
    contents: { intContents: [-(2 ** 31), 2 ** 31 - 1] },
    raw: bytesOf(Int32Array.of(-(2 ** 31), 2 ** 31 - 1)),
  },
  INT64: {
    dtype: 'int64',
    contents: { int64Contents: [-(2n ** 63n), 2n ** 63n - 1n] },
    raw: bytesOf(BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)),
  },
  FP16: { dtype: 'float16', raw: bytesOf(encodeFloat16(Float32Array.of(-0.5, 65_504))) },
  FP32: {
    dtype: 'float32',
    contents: { fp32Contents: [-0.5, 1.5] },
    raw: bytesOf(Float32Array.of(-0.5, 1.5)),
  },
  FP64: {
    dtype: 'float64',
    contents: { fp64Contents: [0.1, 1e300] },
    raw: bytesOf(Float64Array.of(0.1, 1e300)),
  },
  BYTES: {
    dtype: 'string',
    contents: { bytesContents: [Buffer.from('ä'), Buffer.from('')] },
    raw: rawTexts('ä', ''),
  },
};

/** For each datatype an expert `same-<datatype>` that answers its input `x` of shape [n] as its output `y`. */
export async function addIdentities(registry: Registry): Promise<void> {
  for (const [name, { dtype }] of Object.entries(DATATYPES)) {
    const builder = new GraphBuilder();
    const value = builder.node('Identity', [builder.input('x', dtype, ['n'])], { name: 'y' });
    builder.output(value, dtype, ['n']);
    const bundle = `same-${name.toLowerCase()}`;
    await writePicoGraph(registry.path(bundle), { name: bundle }, builder.build({ name: bundle }));
    await registry.add(bundle);
  }
}
