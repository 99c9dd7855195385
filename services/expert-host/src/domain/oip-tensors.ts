import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  joinBytesElements,
  MAX_TENSOR_ELEMENTS,
  modelConfig,
  OIP_DATATYPE_NAMES,
  OIP_DATATYPES,
  splitBytesElements,
  type inference,
  type OipDatatypeName,
} from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { elementCount, type DataType, type Tensor } from '@thalamus/tensor';

type InputTensor = inference.ModelInferRequest_InferInputTensor;
type OutputTensor = MessageInitShape<typeof inference.ModelInferResponse_InferOutputTensorSchema>;
type Contents = inference.InferTensorContents;

type Name = OipDatatypeName;

/** Element type of each datatype, and where typed contents have it. */
const KINDS: Readonly<
  Record<
    Name,
    { readonly dtype: DataType; readonly typed?: (c: Contents) => ArrayLike<number | bigint | boolean> }
  >
> = {
  BOOL: { dtype: 'bool', typed: (c) => c.boolContents },
  UINT8: { dtype: 'uint8', typed: (c) => c.uintContents },
  UINT16: { dtype: 'uint16', typed: (c) => c.uintContents },
  UINT32: { dtype: 'uint32', typed: (c) => c.uintContents },
  UINT64: { dtype: 'uint64', typed: (c) => c.uint64Contents },
  INT8: { dtype: 'int8', typed: (c) => c.intContents },
  INT16: { dtype: 'int16', typed: (c) => c.intContents },
  INT32: { dtype: 'int32', typed: (c) => c.intContents },
  INT64: { dtype: 'int64', typed: (c) => c.int64Contents },
  FP16: { dtype: 'float16' },
  BF16: { dtype: 'bfloat16' },
  FP32: { dtype: 'float32', typed: (c) => c.fp32Contents },
  FP64: { dtype: 'float64', typed: (c) => c.fp64Contents },
};

/** Most dimensions of a tensor: those of NumPy. */
const MAX_DIMENSIONS = 64;
/** Most letters of a name that a refusal repeats. */
const MAX_QUOTED = 64;

const isName = (datatype: string): datatype is Name => Object.hasOwn(KINDS, datatype);

/** OIP name of an element type. */
export function oipDatatype(dtype: DataType): string {
  if (dtype === 'string') return 'BYTES';
  const entry = Object.entries(KINDS).find(([, kind]) => kind.dtype === dtype);
  return entry?.[0] ?? 'BYTES';
}

/** Element type of a model configuration, of an OIP datatype. */
export function configType(datatype: string): modelConfig.DataType {
  if (datatype === 'BYTES') return modelConfig.DataType.TYPE_STRING;
  return isName(datatype) ? OIP_DATATYPES[datatype].config : modelConfig.DataType.TYPE_INVALID;
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

/** The sizes of an input. Their product is bounded with sizes of zero left out: no order of sizes may overflow it. */
function decodeShape({ name, shape }: InputTensor): number[] {
  if (shape.length > MAX_DIMENSIONS)
    throw invalid(name, `has ${shape.length} dimensions; at most ${MAX_DIMENSIONS} are taken`);
  let product = 1;
  return shape.map((size) => {
    if (size < 0n || size > BigInt(MAX_TENSOR_ELEMENTS))
      throw invalid(name, `has the impossible size ${size} in its shape`);
    product *= Math.max(1, Number(size));
    if (product > MAX_TENSOR_ELEMENTS)
      throw invalid(name, `has too many elements by its shape; at most ${MAX_TENSOR_ELEMENTS} are taken`);
    return Number(size);
  });
}

function decodeInput(input: InputTensor, raw: Uint8Array | undefined): Tensor {
  const shape = decodeShape(input);
  const count = elementCount(shape);
  if (raw !== undefined && input.contents !== undefined)
    throw invalid(input.name, 'has both contents and raw contents; send one');
  if (input.datatype === 'BYTES') return { dtype: 'string', shape, data: decodeTexts(input, raw, count) };
  if (!isName(input.datatype))
    throw invalid(
      input.name,
      `has the unknown datatype "${input.datatype.slice(0, MAX_QUOTED)}"; known are ${OIP_DATATYPE_NAMES}`,
    );
  const kind = { ...KINDS[input.datatype], ...OIP_DATATYPES[input.datatype] };
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
  const parts =
    raw === undefined ? (input.contents?.bytesContents ?? []) : splitBytesElements(raw, input.name, count);
  if (parts.length !== count)
    throw invalid(input.name, `has ${parts.length} elements, but its shape needs ${count}`);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return parts.map((part, index) => {
    try {
      return decoder.decode(part);
    } catch {
      throw invalid(input.name, `element ${index} is not UTF-8`);
    }
  });
}

/** An output with its raw bytes, which stand beside it in the response. */
export interface EncodedOutput {
  readonly tensor: OutputTensor;
  readonly raw: Uint8Array;
}

const encoder = new TextEncoder();

/** An output in raw form. */
export function encodeOutput(
  name: string,
  value: Tensor,
  parameters: OutputTensor['parameters'] = {},
): EncodedOutput {
  const tensor = { name, datatype: oipDatatype(value.dtype), shape: value.shape.map(BigInt), parameters };
  if (value.dtype === 'string')
    return { tensor, raw: joinBytesElements(value.data.map((text) => encoder.encode(text))) };
  const { buffer, byteOffset, byteLength } = value.data;
  return { tensor, raw: new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength) };
}

function invalid(name: string, reason: string): ThalamusError {
  const field = name.slice(0, MAX_QUOTED);
  return new ThalamusError('TENSOR_INVALID', `Input ${field} ${reason}.`, {
    violations: [{ field, description: reason }],
  });
}
