import type { OnnxGraph } from '@thalamus/onnx-graph';

/** A node of the graph that is differentiated. */
export type GraphNode = OnnxGraph['node'][number];

/** ONNX number of int64. */
export const INT64 = 7;

/** Whole number of an attribute. */
export function intAttribute(node: GraphNode, name: string, otherwise: number): number {
  const found = node.attribute.find((attribute) => attribute.name === name);
  return found ? Number(found.i) : otherwise;
}

/** Number of an attribute. */
export function floatAttribute(node: GraphNode, name: string, otherwise: number): number {
  return node.attribute.find((attribute) => attribute.name === name)?.f ?? otherwise;
}

/** Text of an attribute. */
export function textAttribute(node: GraphNode, name: string, otherwise: string): string {
  const found = node.attribute.find((attribute) => attribute.name === name);
  return found ? new TextDecoder().decode(found.s) : otherwise;
}

/** Whole numbers of an attribute. */
export function intsAttribute(node: GraphNode, name: string): number[] | undefined {
  return node.attribute.find((attribute) => attribute.name === name)?.ints.map(Number);
}

/** Values of a small int64 constant; undefined when the value is no constant. */
export function constantInts(graph: OnnxGraph, name: string): number[] | undefined {
  const found = graph.initializer.find((constant) => constant.name === name && constant.dataType === INT64);
  if (!found) return undefined;
  if (found.rawData.byteLength === 0) return found.int64Data.map(Number);
  return [...new BigInt64Array(new Uint8Array(found.rawData).buffer)].map(Number);
}
