import { ThalamusError } from '@thalamus/errors';
import type { DataType } from '@thalamus/tensor';
import type { AttributeProto, GraphProto, NodeProto, ValueInfoProto } from './codec/gen/onnx/onnx_pb.js';
import { elementTypeOf } from './element-types.js';
import { inspectTensor, type ConstantCount } from './inspect-tensor.js';
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
  /** Element type of most constants: how the weights are stored; undefined without constants, or for one of 4 bits. */
  readonly weightType: DataType | undefined;
  /** Names of the files that constants lie in, in the order of their first use. */
  readonly externalFiles: readonly string[];
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
  if (model.trainingInfo.length > 0) fail('The model carries training graphs; export it for inference only.');
  const graph = graphOf(model);
  const counted = {
    nodes: 0,
    parameters: 0,
    byType: new Map<number, number>(),
    externalFiles: new Set<string>(),
  };
  inspect(graph, new Set(), 1, { limits, domains, counted });
  const opset = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version;
  if (opset === undefined)
    fail('The model imports no standard operators, or it is cut short; export it again.');
  const constants = new Set(graph.initializer.map((tensor) => tensor.name));
  return {
    inputs: graph.input.filter((value) => !constants.has(value.name)).map(describe),
    outputs: graph.output.map(describe),
    nodeCount: counted.nodes,
    parameterCount: counted.parameters,
    weightType: elementTypeOf(mostFrequent(counted.byType)),
    externalFiles: [...counted.externalFiles],
    opset: Number(opset),
  };
}

interface Inspection {
  readonly limits: GraphLimits;
  readonly domains: ReadonlySet<string>;
  readonly counted: ConstantCount & { nodes: number };
}

/** The key with the largest count; 0 where there is none. */
function mostFrequent(counts: ReadonlyMap<number, number>): number {
  const [best] = [...counts].sort(([, a], [, b]) => b - a);
  return best?.[0] ?? 0;
}

function inspect(graph: GraphProto, outer: ReadonlySet<string>, depth: number, inspection: Inspection): void {
  const { limits, counted } = inspection;
  if (depth > limits.maxDepth) fail(`Sub-graphs are nested deeper than ${limits.maxDepth} levels.`);
  counted.nodes += graph.node.length;
  if (counted.nodes > limits.maxNodes) fail(`The model has more than ${limits.maxNodes} nodes.`);
  const known = new Set(outer);
  const own = new Set<string>();
  const declare = (name: string, where: string) => {
    if (name === '') fail(`A value without a name is made (${where}).`);
    if (own.has(name)) fail(`The value ${name} is made twice (${where}).`);
    own.add(name);
    known.add(name);
  };
  for (const tensor of graph.initializer) {
    declare(tensor.name, 'initializer');
    inspectTensor(tensor, limits.externalFiles, counted);
  }
  if (graph.sparseInitializer.length > 0) failSparse();
  const constants = new Set(own);
  const inputs = new Set<string>();
  for (const { name } of graph.input) {
    if (inputs.has(name)) fail(`The input ${name} is declared twice.`);
    inputs.add(name);
    // An initialiser that is an input as well is the default of that input.
    if (!constants.has(name)) declare(name, 'input');
  }
  for (const node of graph.node) checkNode(node, { known, declare, depth, inspection });
  for (const { name } of graph.output) if (!known.has(name)) fail(`The output ${name} is made by no node.`);
  if (graph.output.length === 0) fail(`The graph ${graph.name || '(unnamed)'} has no output.`);
}

interface Scope {
  readonly known: ReadonlySet<string>;
  readonly declare: (name: string, where: string) => void;
  readonly depth: number;
  readonly inspection: Inspection;
}

/** ONNX wants nodes in topological order: an input that is not known yet is missing or part of a cycle. */
function checkNode(node: NodeProto, scope: Scope): void {
  const label = `node ${node.name || '(unnamed)'} (${node.opType})`;
  if (!scope.inspection.domains.has(node.domain))
    fail(`${label} is of the operator domain "${node.domain}", which is not allowed.`);
  for (const input of node.input) {
    if (input !== '' && !scope.known.has(input))
      fail(`${label} reads ${input}, which is missing, made later, or part of a cycle.`);
  }
  for (const attribute of node.attribute) checkAttribute(attribute, scope);
  for (const output of node.output) if (output !== '') scope.declare(output, label);
}

function checkAttribute(attribute: AttributeProto, { known, depth, inspection }: Scope): void {
  const { counted, limits } = inspection;
  for (const tensor of attribute.t ? [attribute.t, ...attribute.tensors] : attribute.tensors)
    inspectTensor(tensor, limits.externalFiles, counted);
  if (attribute.sparseTensor !== undefined || attribute.sparseTensors.length > 0) failSparse();
  for (const sub of attribute.g ? [attribute.g, ...attribute.graphs] : attribute.graphs)
    inspect(sub, known, depth + 1, inspection);
}

function failSparse(): never {
  fail('Sparse tensors are not supported; export the model dense.');
}

function describe(value: ValueInfoProto): GraphValue {
  const type = value.type?.value;
  if (type?.case !== 'tensorType') return { name: value.name, dtype: undefined, shape: [] };
  const shape = (type.value.shape?.dim ?? []).map(({ value: size }) => {
    if (size.case !== 'dimValue') return size.value ?? '?';
    if (size.value < 0n || size.value > MAX_DIMENSION)
      fail(`${value.name} has the impossible size ${size.value} in its shape; leave varying sizes unnamed.`);
    return Number(size.value);
  });
  return { name: value.name, dtype: elementTypeOf(type.value.elemType), shape };
}

const MAX_DIMENSION = 2n ** 40n;

function fail(message: string): never {
  throw new ThalamusError('GRAPH_INVALID', message);
}
