import type { MessageInitShape } from '@bufbuild/protobuf';
import { modelConfig, type inference } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { elementCount, type DataType, type Tensor } from '@thalamus/tensor';

type InputTensor = inference.ModelInferRequest_InferInputTensor;
type OutputTensor = MessageInitShape<typeof inference.ModelInferResponse_InferOutputTensorSchema>;
type Contents = inference.InferTensorContents;

/** Most elements of one input; larger claims are refused before anything is allocated. */
const MAX_ELEMENTS = 16 * 1024 * 1024;

interface Kind {
  readonly dtype: DataType;
  /** In a model configuration. */
  readonly config: modelConfig.DataType;
  readonly width: number;
  readonly typed: ((contents: Contents) => ArrayLike<number | bigint | boolean>) | undefined;
  readonly view: (bytes: ArrayBuffer) => Tensor['data'];
}

const Type = modelConfig.DataType;

const KINDS: Readonly<Record<string, Kind>> = {
  BOOL: {
    dtype: 'bool',
    config: Type.TYPE_BOOL,
    width: 1,
    typed: (c) => c.boolContents,
    view: (b) => new Uint8Array(b),
  },
  UINT8: {
    dtype: 'uint8',
    config: Type.TYPE_UINT8,
    width: 1,
    typed: (c) => c.uintContents,
    view: (b) => new Uint8Array(b),
  },
  UINT16: {
    dtype: 'uint16',
    config: Type.TYPE_UINT16,
    width: 2,
    typed: (c) => c.uintContents,
    view: (b) => new Uint16Array(b),
  },
  UINT32: {
    dtype: 'uint32',
    config: Type.TYPE_UINT32,
    width: 4,
    typed: (c) => c.uintContents,
    view: (b) => new Uint32Array(b),
  },
  UINT64: {
    dtype: 'uint64',
    config: Type.TYPE_UINT64,
    width: 8,
    typed: (c) => c.uint64Contents,
    view: (b) => new BigUint64Array(b),
  },
  INT8: {
    dtype: 'int8',
    config: Type.TYPE_INT8,
    width: 1,
    typed: (c) => c.intContents,
    view: (b) => new Int8Array(b),
  },
  INT16: {
    dtype: 'int16',
    config: Type.TYPE_INT16,
    width: 2,
    typed: (c) => c.intContents,
    view: (b) => new Int16Array(b),
  },
  INT32: {
    dtype: 'int32',
    config: Type.TYPE_INT32,
    width: 4,
    typed: (c) => c.intContents,
    view: (b) => new Int32Array(b),
  },
  INT64: {
    dtype: 'int64',
    config: Type.TYPE_INT64,
    width: 8,
    typed: (c) => c.int64Contents,
    view: (b) => new BigInt64Array(b),
  },
  FP16: {
    dtype: 'float16',
    config: Type.TYPE_FP16,
    width: 2,
    typed: undefined,
    view: (b) => new Uint16Array(b),
  },
  BF16: {
    dtype: 'bfloat16',
    config: Type.TYPE_BF16,
    width: 2,
    typed: undefined,
    view: (b) => new Uint16Array(b),
  },
  FP32: {
    dtype: 'float32',
    config: Type.TYPE_FP32,
    width: 4,
    typed: (c) => c.fp32Contents,
    view: (b) => new Float32Array(b),
  },
  FP64: {
    dtype: 'float64',
    config: Type.TYPE_FP64,
    width: 8,
    typed: (c) => c.fp64Contents,
    view: (b) => new Float64Array(b),
  },
};

/** OIP name of an element type. */
export function oipDatatype(dtype: DataType): string {
  if (dtype === 'string') return 'BYTES';
  const entry = Object.entries(KINDS).find(([, kind]) => kind.dtype === dtype);
  return entry?.[0] ?? 'BYTES';
}

/** Element type of a model configuration, of an OIP datatype. */
export function configType(datatype: string): modelConfig.DataType {
  return datatype === 'BYTES' ? Type.TYPE_STRING : (KINDS[datatype]?.config ?? Type.TYPE_INVALID);
}

/** The inputs of a request by name. @throws TENSOR_INVALID that names the input and what is wrong with it. */
export function decodeInputs(request: inference.ModelInferRequest): Map<string, Tensor> {
  const raw = request.rawInputContents;
  if (raw.length > 0 && raw.length !== request.inputs.length) {
    throw invalid(
      'raw_input_contents',
      `holds ${raw.length} entries for ${request.inputs.length} inputs; raw means raw for all of them`,
    );
  }
  const tensors = new Map<string, Tensor>();
  request.inputs.forEach((input, index) => {
    if (input.name === '') throw invalid(`inputs[${index}].name`, 'is empty');
    if (tensors.has(input.name)) throw invalid(input.name, 'is given twice');
    tensors.set(input.name, decodeInput(input, raw[index]));
  });
  return tensors;
}

function decodeInput(input: InputTensor, raw: Uint8Array | undefined): Tensor {
  const shape = input.shape.map((size) => {
    if (size < 0n || size > BigInt(MAX_ELEMENTS))
      throw invalid(input.name, `has the impossible size ${size} in its shape`);
    return Number(size);
  });
  const count = elementCount(shape);
  if (count > MAX_ELEMENTS)
    throw invalid(input.name, `has ${count} elements; at most ${MAX_ELEMENTS} are taken`);
  if (raw !== undefined && input.contents !== undefined)
    throw invalid(input.name, 'has both contents and raw contents; send one');
  if (input.datatype === 'BYTES') return { dtype: 'string', shape, data: decodeTexts(input, raw, count) };
  const kind = KINDS[input.datatype];
  if (!kind)
    throw invalid(
      input.name,
      `has the unknown datatype "${input.datatype}"; known are BYTES, ${Object.keys(KINDS).join(', ')}`,
    );
  if (raw !== undefined) {
    if (raw.byteLength !== count * kind.width)
      throw invalid(
        input.name,
        `has ${raw.byteLength} raw bytes, but its shape and datatype need ${count * kind.width}`,
      );
    // A true copy: the slice of a Buffer is a view into the whole message.
    return { dtype: kind.dtype, shape, data: kind.view(new Uint8Array(raw).buffer) } as Tensor;
  }
  if (!kind.typed) throw invalid(input.name, `is ${input.datatype}, which must be sent raw`);
  const values = input.contents ? kind.typed(input.contents) : [];
  if (values.length !== count)
    throw invalid(input.name, `has ${values.length} elements, but its shape needs ${count}`);
  const data = kind.view(new ArrayBuffer(count * kind.width)) as { [index: number]: unknown };
  for (let i = 0; i < count; i++) {
    const value = typeof values[i] === 'boolean' ? Number(values[i]) : values[i];
    data[i] = value;
    // Narrow types travel in wide fields: what does not fit would wrap around.
    if (NARROW.has(input.datatype) && data[i] !== value)
      throw invalid(input.name, `has the element ${String(value)}, which is no ${input.datatype}`);
  }
  return { dtype: kind.dtype, shape, data } as unknown as Tensor;
}

const NARROW = new Set(['INT8', 'INT16', 'UINT8', 'UINT16']);

function decodeTexts(input: InputTensor, raw: Uint8Array | undefined, count: number): string[] {
  const parts = raw === undefined ? (input.contents?.bytesContents ?? []) : splitBytes(input.name, raw);
  if (parts.length !== count)
    throw invalid(input.name, `has ${parts.length} elements, but its shape needs ${count}`);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  return parts.map((part, index) => {
    try {
      return decoder.decode(part);
    } catch {
      throw invalid(input.name, `element ${index} is not UTF-8`);
    }
  });
}

/** BYTES elements stand raw as a 4-byte little-endian length and that many bytes. */
function splitBytes(name: string, raw: Uint8Array): Uint8Array[] {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const parts: Uint8Array[] = [];
  let position = 0;
  while (position < raw.byteLength) {
    if (position + 4 > raw.byteLength) throw invalid(name, 'ends in the middle of a length');
    const length = view.getUint32(position, true);
    position += 4;
    if (position + length > raw.byteLength)
      throw invalid(
        name,
        `claims an element of ${length} bytes, but only ${raw.byteLength - position} are left`,
      );
    parts.push(raw.subarray(position, position + length));
    position += length;
  }
  return parts;
}

/** An output with its raw bytes, which stand beside it in the response. */
export interface EncodedOutput {
  readonly tensor: OutputTensor;
  readonly raw: Uint8Array;
}

/** An output in raw form. */
export function encodeOutput(
  name: string,
  value: Tensor,
  parameters: OutputTensor['parameters'] = {},
): EncodedOutput {
  const tensor = { name, datatype: oipDatatype(value.dtype), shape: value.shape.map(BigInt), parameters };
  if (value.dtype === 'string') return { tensor, raw: joinTexts(value.data) };
  const { buffer, byteOffset, byteLength } = value.data;
  return { tensor, raw: new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength) };
}

function joinTexts(texts: readonly string[]): Uint8Array {
  const parts = texts.flatMap((text) => {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.byteLength);
    return [length, bytes];
  });
  return new Uint8Array(Buffer.concat(parts));
}

function invalid(field: string, reason: string): ThalamusError {
  return new ThalamusError('TENSOR_INVALID', `Input ${field} ${reason}.`, {
    violations: [{ field, description: reason }],
  });
}
