import type { DataType } from '@thalamus/tensor';
import { TensorProto_DataType as Onnx } from './codec/gen/onnx/onnx_pb.js';

const TO_ONNX: Readonly<Record<DataType, Onnx>> = {
  float32: Onnx.FLOAT,
  float64: Onnx.DOUBLE,
  float16: Onnx.FLOAT16,
  bfloat16: Onnx.BFLOAT16,
  int8: Onnx.INT8,
  uint8: Onnx.UINT8,
  int16: Onnx.INT16,
  uint16: Onnx.UINT16,
  int32: Onnx.INT32,
  uint32: Onnx.UINT32,
  int64: Onnx.INT64,
  uint64: Onnx.UINT64,
  bool: Onnx.BOOL,
  string: Onnx.STRING,
};

const FROM_ONNX = new Map<number, DataType>(
  Object.entries(TO_ONNX).map(([name, code]) => [code, name as DataType]),
);

/** ONNX number of an element type. */
export function onnxElementType(dtype: DataType): number {
  return TO_ONNX[dtype];
}

/** Element type of an ONNX number; undefined for one that the mesh does not compute with. */
export function elementTypeOf(code: number): DataType | undefined {
  return FROM_ONNX.get(code);
}
