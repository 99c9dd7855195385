import { ThalamusError } from '@thalamus/errors';
import {
  TensorProto_DataLocation,
  TensorProto_DataType as Onnx,
  type TensorProto,
} from './codec/gen/onnx/onnx_pb.js';

/** Most elements of one tensor. */
const MAX_ELEMENTS = 2 ** 40;

/** Bits of one element in raw form; types that are not listed here are not allowed as constants. */
const RAW_BITS: ReadonlyMap<number, number> = new Map([
  [Onnx.FLOAT, 32],
  [Onnx.DOUBLE, 64],
  [Onnx.FLOAT16, 16],
  [Onnx.BFLOAT16, 16],
  [Onnx.INT8, 8],
  [Onnx.UINT8, 8],
  [Onnx.INT16, 16],
  [Onnx.UINT16, 16],
  [Onnx.INT32, 32],
  [Onnx.UINT32, 32],
  [Onnx.INT64, 64],
  [Onnx.UINT64, 64],
  [Onnx.BOOL, 8],
  [Onnx.INT4, 4],
  [Onnx.UINT4, 4],
]);

/** What all constants of a model have in common. */
export interface ConstantCount {
  /** Number of elements. */
  parameters: number;
  /** Elements by ONNX number of their type. */
  readonly byType: Map<number, number>;
  /** Files that external data come from. */
  readonly externalFiles: Set<string>;
}

/**
 * Checks a constant and counts it: a known type, possible sizes, exactly the data that its shape needs, external data only
 * from listed files and never raw data beside it.
 * @throws GRAPH_INVALID
 */
export function inspectTensor(
  tensor: TensorProto,
  externalFiles: readonly string[],
  counted: ConstantCount,
): void {
  const label = `Tensor ${tensor.name || '(unnamed)'}`;
  const elements = countElements(tensor, label);
  const bits = RAW_BITS.get(tensor.dataType);
  if (bits === undefined && tensor.dataType !== (Onnx.STRING as number))
    fail(`${label} has the element type ${tensor.dataType}, which is not allowed as a constant.`);
  if (tensor.segment !== undefined) fail(`${label} is cut into segments; export it whole.`);
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL)
    counted.externalFiles.add(checkExternal(tensor, label, externalFiles));
  else if (tensor.externalData.length > 0) fail(`${label} names external data but does not use it.`);
  else if (tensor.rawData.byteLength > 0) {
    if (bits === undefined) fail(`${label} holds texts as raw data.`);
    const expected = Math.ceil((elements * bits) / 8);
    if (tensor.rawData.byteLength !== expected)
      fail(
        `${label} of shape [${tensor.dims.join(', ')}] holds ${tensor.rawData.byteLength} bytes instead of ${expected}.`,
      );
  } else checkTyped(tensor, label, elements);
  counted.parameters += elements;
  counted.byType.set(tensor.dataType, (counted.byType.get(tensor.dataType) ?? 0) + elements);
}

function countElements(tensor: TensorProto, label: string): number {
  let elements = 1;
  for (const size of tensor.dims) {
    if (size < 0n || size > BigInt(MAX_ELEMENTS)) fail(`${label} has the impossible size ${size}.`);
    elements *= Number(size);
    if (elements > MAX_ELEMENTS) fail(`${label} has more than ${MAX_ELEMENTS} elements.`);
  }
  return elements;
}

/** Numbers written one by one instead of raw. */
function checkTyped(tensor: TensorProto, label: string, elements: number): void {
  const packed = tensor.dataType === (Onnx.INT4 as number) || tensor.dataType === (Onnx.UINT4 as number);
  const expected = packed ? Math.ceil(elements / 2) : elements;
  const held =
    tensor.floatData.length +
    tensor.int32Data.length +
    tensor.int64Data.length +
    tensor.uint64Data.length +
    tensor.doubleData.length +
    tensor.stringData.length;
  if (held !== expected)
    fail(`${label} of shape [${tensor.dims.join(', ')}] holds ${held} elements instead of ${expected}.`);
}

/** The file that the data of a tensor are in. */
function checkExternal(tensor: TensorProto, label: string, externalFiles: readonly string[]): string {
  const keys = tensor.externalData.map(({ key }) => key);
  if (new Set(keys).size !== keys.length)
    fail(`${label} describes its external data twice; export the model again.`);
  const location = tensor.externalData.find(({ key }) => key === 'location')?.value ?? '';
  if (!externalFiles.includes(location))
    fail(
      `${label} keeps its data in "${location}", which is not among the listed files beside the graph; export the model with its data beside it.`,
    );
  if (tensor.rawData.byteLength > 0) fail(`${label} holds raw data and external data; keep one.`);
  return location;
}

function fail(message: string): never {
  throw new ThalamusError('GRAPH_INVALID', message);
}
