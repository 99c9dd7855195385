import { create } from '@bufbuild/protobuf';
import type { DataType, Tensor } from '@thalamus/tensor';
import {
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './codec/gen/onnx/onnx_pb.js';
import { onnxElementType } from './element-types.js';

/** Attribute values: whole numbers become INT, others FLOAT when marked so, lists and texts as they are. */
export type AttributeValue = number | string | readonly number[] | { readonly float: number };

/** Dimensions of an input or output: a size, or a name for one that varies. */
export type Dimension = number | string;

/** A node whose values have other names, those of its graphs included. */
export function renameNode(node: NodeProto, rename: (name: string) => string, prefix: string): NodeProto {
  return {
    ...node,
    name: `${prefix}${node.name}`,
    input: node.input.map(rename),
    output: node.output.map(rename),
    attribute: node.attribute.map((attribute) =>
      attribute.g ? { ...attribute, g: renameGraph(attribute.g, rename, prefix) } : attribute,
    ),
  };
}

function renameGraph(graph: GraphProto, rename: (name: string) => string, prefix: string): GraphProto {
  const named = <T extends { readonly name: string }>(value: T): T => ({
    ...value,
    name: rename(value.name),
  });
  return {
    ...graph,
    initializer: graph.initializer.map(named),
    input: graph.input.map(named),
    output: graph.output.map(named),
    node: graph.node.map((node) => renameNode(node, rename, prefix)),
  };
}

/** The ONNX form of an input or output. */
export function valueInfo(name: string, dtype: DataType, shape: readonly Dimension[]): ValueInfoProto {
  const dim = shape.map((size) =>
    typeof size === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(size) } }
      : { value: { case: 'dimParam' as const, value: size } },
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: onnxElementType(dtype), shape: { dim } } } },
  });
}

/** The ONNX form of a constant; numbers are stored raw and little-endian. */
export function tensorProto(name: string, value: Tensor): TensorProto {
  const dims = value.shape.map(BigInt);
  const dataType = onnxElementType(value.dtype);
  if (value.dtype === 'string') {
    const encoder = new TextEncoder();
    return create(TensorProtoSchema, {
      name,
      dims,
      dataType,
      stringData: value.data.map((text) => encoder.encode(text)),
    });
  }
  const { buffer, byteOffset, byteLength } = value.data;
  const rawData = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
  return create(TensorProtoSchema, { name, dims, dataType, rawData });
}

/** The ONNX form of an attribute. */
export function attributeProto(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'number')
    return create(AttributeProtoSchema, { name, type: Kind.INT, i: BigInt(value) });
  if (typeof value === 'string')
    return create(AttributeProtoSchema, { name, type: Kind.STRING, s: new TextEncoder().encode(value) });
  if ('float' in value) return create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: value.float });
  return create(AttributeProtoSchema, { name, type: Kind.INTS, ints: value.map(BigInt) });
}

/** The ONNX form of an attribute that is a graph. */
export function graphAttribute(name: string, g: GraphProto): AttributeProto {
  return create(AttributeProtoSchema, { name, type: Kind.GRAPH, g });
}
