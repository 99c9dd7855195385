import { ThalamusError } from '@thalamus/errors';
import type { DataType } from '@thalamus/tensor';
import {
  TensorProto_DataLocation,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './codec/gen/onnx/onnx_pb.js';
import { elementTypeOf } from './element-types.js';
import { decodeModel, graphOf } from './onnx-model.js';

/** What a graph may hold before a runtime opens it. */
export interface GraphLimits {
  /** Largest file in bytes. */
  readonly maxBytes: number;
  readonly maxNodes: number;
  /** Deepest nesting of sub-graphs (If, Loop, Scan). */
  readonly maxDepth: number;
  /** Operator domains that may be used. */
  readonly domains: readonly string[];
  /** File names that external data may come from; empty: none. */
  readonly externalFiles: readonly string[];
}

/** Limits for bundles: 2 GiB, 100,000 nodes, eight levels, standard operators and those of ONNX Runtime. */
export const DEFAULT_GRAPH_LIMITS: GraphLimits = {
  maxBytes: 2 ** 31,
  maxNodes: 100_000,
  maxDepth: 8,
  domains: ['', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft'],
  externalFiles: [],
};

/** An input or output of a graph. */
export interface GraphValue {
  readonly name: string;
  readonly dtype: DataType | undefined;
  /** Sizes, or names of varying dimensions. */
  readonly shape: readonly (number | string)[];
}

/** What the inspection found. */
export interface GraphSummary {
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly nodeCount: number;
  /** Number of constant elements. */
  readonly parameterCount: number;
  readonly opset: number;
}

/**
 * Parses a model and checks its structure before any runtime opens it: size, operator domains, external data, unique
 * names, inputs that exist, no cycle, nesting. Linear in the size of the graph.
 * @throws GRAPH_INVALID that names the node and the reason.
 */
export function inspectGraph(bytes: Uint8Array, limits: GraphLimits = DEFAULT_GRAPH_LIMITS): GraphSummary {
  if (bytes.byteLength > limits.maxBytes)
    fail(`The model has ${bytes.byteLength} bytes; at most ${limits.maxBytes} are allowed.`);
  const model = decodeModel(bytes);
  const domains = new Set(limits.domains);
  for (const { domain } of model.opsetImport) {
    if (!domains.has(domain))
      fail(`The model imports operators of the domain "${domain}", which is not allowed.`);
  }
  if (model.functions.length > 0)
    fail('The model defines functions of its own; export it with them inlined.');
  const graph = graphOf(model);
  const counted = { nodes: 0, parameters: 0 };
  inspect(graph, new Set(), 1, { limits, domains, counted });
  const opset = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0n;
  const constants = new Set(graph.initializer.map((tensor) => tensor.name));
  return {
    inputs: graph.input.filter((value) => !constants.has(value.name)).map(describe),
    outputs: graph.output.map(describe),
    nodeCount: counted.nodes,
    parameterCount: counted.parameters,
    opset: Number(opset),
  };
}

interface Inspection {
  readonly limits: GraphLimits;
  readonly domains: ReadonlySet<string>;
  readonly counted: { nodes: number; parameters: number };
}

function inspect(graph: GraphProto, outer: ReadonlySet<string>, depth: number, inspection: Inspection): void {
  const { limits, counted } = inspection;
  if (depth > limits.maxDepth) fail(`Sub-graphs are nested deeper than ${limits.maxDepth} levels.`);
  counted.nodes += graph.node.length;
  if (counted.nodes > limits.maxNodes) fail(`The model has more than ${limits.maxNodes} nodes.`);
  const known = new Set(outer);
  const own = new Set<string>();
  const declare = (name: string, where: string) => {
    if (own.has(name)) fail(`The value ${name} is made twice (${where}).`);
    own.add(name);
    known.add(name);
  };
  for (const tensor of graph.initializer) {
    declare(tensor.name, 'initializer');
    counted.parameters += checkTensor(tensor, limits);
  }
  if (graph.sparseInitializer.length > 0)
    fail('Sparse initialisers are not supported; export the model dense.');
  for (const { name } of graph.input) if (!own.has(name)) declare(name, 'input');
  for (const node of graph.node) checkNode(node, known, declare, depth, inspection);
  for (const { name } of graph.output) if (!known.has(name)) fail(`The output ${name} is made by no node.`);
}

/** ONNX wants nodes in topological order: an input that is not known yet is missing or part of a cycle. */
function checkNode(
  node: NodeProto,
  known: ReadonlySet<string>,
  declare: (name: string, where: string) => void,
  depth: number,
  inspection: Inspection,
): void {
  const label = `node ${node.name || '(unnamed)'} (${node.opType})`;
  if (!inspection.domains.has(node.domain))
    fail(`${label} is of the operator domain "${node.domain}", which is not allowed.`);
  for (const input of node.input) {
    if (input !== '' && !known.has(input))
      fail(`${label} reads ${input}, which is missing, made later, or part of a cycle.`);
  }
  for (const attribute of node.attribute) {
    if (attribute.t) inspection.counted.parameters += checkTensor(attribute.t, inspection.limits);
    for (const tensor of attribute.tensors) checkTensor(tensor, inspection.limits);
    for (const sub of attribute.g ? [attribute.g, ...attribute.graphs] : attribute.graphs)
      inspect(sub, known, depth + 1, inspection);
  }
  for (const output of node.output) if (output !== '') declare(output, label);
}

function checkTensor(tensor: TensorProto, limits: GraphLimits): number {
  const label = `Tensor ${tensor.name || '(unnamed)'}`;
  let elements = 1;
  for (const size of tensor.dims) {
    if (size < 0n || size > 2n ** 40n) fail(`${label} has the impossible size ${size}.`);
    elements *= Number(size);
  }
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    const location = tensor.externalData.find(({ key }) => key === 'location')?.value ?? '';
    if (!limits.externalFiles.includes(location)) {
      fail(`${label} keeps its data in "${location}", which the manifest does not list.`);
    }
  } else if (tensor.rawData.byteLength > 0) {
    const width = ELEMENT_BYTES[elementTypeOf(tensor.dataType) ?? 'string'];
    if (width !== undefined && tensor.rawData.byteLength !== elements * width) {
      fail(
        `${label} of shape [${tensor.dims.join(', ')}] holds ${tensor.rawData.byteLength} bytes instead of ${elements * width}.`,
      );
    }
  }
  return elements;
}

const ELEMENT_BYTES: Readonly<Record<DataType, number | undefined>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
  string: undefined,
};

function describe(value: ValueInfoProto): GraphValue {
  const type = value.type?.value;
  if (type?.case !== 'tensorType') return { name: value.name, dtype: undefined, shape: [] };
  const shape = (type.value.shape?.dim ?? []).map((dimension) =>
    dimension.value.case === 'dimValue' ? Number(dimension.value.value) : (dimension.value.value ?? '?'),
  );
  return { name: value.name, dtype: elementTypeOf(type.value.elemType), shape };
}

function fail(message: string): never {
  throw new ThalamusError('GRAPH_INVALID', message);
}
