import { create } from '@bufbuild/protobuf';
import { ThalamusError } from '@thalamus/errors';
import { tensor } from '@thalamus/tensor';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  NodeProtoSchema,
  type GraphProto,
  type NodeProto,
} from './codec/gen/onnx/onnx_pb.js';
import { firstNode, linearLayers, type GatheredBranch, type Linear } from './encoder-layers.js';
import { GraphBuilder } from './graph-builder.js';
import { graphOf, type OnnxModel } from './onnx-model.js';

/** Inputs of a graph with gathered branches beside those of the encoder. */
export const BRANCH_INPUTS = {
  /** bool []: whether any row of the batch has a branch; without one the branches cost nothing. */
  enabled: 'branches_enabled',
  /** int32 [batch], or [1] when all rows have the same: row of the stacked factors. */
  row: 'adapter_row',
  /** float32 [adapters, 1, 1]: alpha / rank of each adapter. */
  scale: 'adapter_scale',
} as const;

/** An encoder with branches. */
export interface BranchedEncoder {
  readonly model: OnnxModel;
  readonly branches: readonly GatheredBranch[];
}

/**
 * Puts a low-rank branch beside every linear layer of an encoder that `buildBertEncoder` made, in any storage:
 * y = x W + b + scale (x A) B. The factors of many adapters are inputs, stacked along the first axis; every row of the batch
 * gathers those of its own, so that one run mixes adapters and a new adapter changes no graph. Layers that read the same
 * value (query, key and value) stand in one `If`, which is skipped when no row of the batch has a branch. The model given
 * is not changed. `only` names the layers that get a branch; all when absent.
 * @throws GRAPH_INVALID when there is no such layer
 */
export function addGatheredBranches(model: OnnxModel, only?: ReadonlySet<string>): BranchedEncoder {
  const graph = graphOf(model);
  const linears = linearLayers(graph).filter(({ layer }) => only?.has(layer) ?? true);
  if (linears.length === 0)
    throw new ThalamusError(
      'GRAPH_INVALID',
      'The graph has no linear layers of an encoder to put branches beside.',
    );
  const groups = [...Map.groupBy(linears, ({ input }) => input).values()];
  const branchesBefore = new Map(groups.map((group) => [firstNode(graph, group), ifNode(group)]));
  const bySum = new Map(linears.map((linear) => [linear.output, linear]));
  const node = graph.node.flatMap((given): NodeProto[] => {
    const before = branchesBefore.get(given);
    const linear = bySum.get(given.output[0] ?? '');
    const kept = linear ? withBranch(given, linear) : [given];
    return before ? [before, ...kept] : kept;
  });
  const inputs = new GraphBuilder();
  inputs.input(BRANCH_INPUTS.enabled, 'bool', []);
  inputs.input(BRANCH_INPUTS.row, 'int32', ['adapter_rows']);
  inputs.input(BRANCH_INPUTS.scale, 'float32', ['adapters', 1, 1]);
  for (const { down, up, inputs: width, outputs } of linears) {
    inputs.input(down, 'float16', ['adapters', width, 'rank']);
    inputs.input(up, 'float16', ['adapters', 'rank', outputs]);
  }
  const added = graphOf(inputs.build({ name: 'branches' })).input;
  const branches = linears.map(({ layer, inputs: from, outputs, down, up }) => ({
    layer,
    inputs: from,
    outputs,
    down,
    up,
  }));
  return { model: { ...model, graph: { ...graph, node, input: [...graph.input, ...added] } }, branches };
}

const branchOf = (layer: string) => `${layer}/branch`;

/** The sum with the bias under another name, then the sum with the branch. */
function withBranch(given: NodeProto, { layer, output }: Linear): NodeProto[] {
  const plain = `${layer}/plain`;
  const sum = create(NodeProtoSchema, {
    name: `Add of ${layer}/branch`,
    opType: 'Add',
    input: [plain, branchOf(layer)],
    output: [output],
  });
  return [{ ...given, output: [plain] }, sum];
}

/** Branches of layers that read the same value; zeros that any shape takes when there are none. */
function ifNode(group: readonly Linear[]): NodeProto {
  const names = group.map(({ layer }) => layer);
  const graphs = { then_branch: computed(group), else_branch: zeros(names) };
  return create(NodeProtoSchema, {
    name: `If of ${names.join(', ')}`,
    opType: 'If',
    input: [BRANCH_INPUTS.enabled],
    output: names.map(branchOf),
    attribute: Object.entries(graphs).map(([name, g]) =>
      create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g }),
    ),
  });
}

function computed(group: readonly Linear[]): GraphProto {
  const builder = new GraphBuilder();
  const outer = (name: string) => builder.outer(name);
  const row = outer(BRANCH_INPUTS.row);
  const scale = builder.node('Gather', [outer(BRANCH_INPUTS.scale), row], { attributes: { axis: 0 } });
  const x = outer(group[0]?.input ?? '');
  const gathered = (stack: string) =>
    builder.node('Cast', [builder.node('Gather', [outer(stack), row], { attributes: { axis: 0 } })], {
      attributes: { to: 1 },
    });
  for (const { layer, down, up, outputs } of group) {
    const inner = builder.node('Mul', [builder.node('MatMul', [x, gathered(down)]), scale]);
    const result = builder.node('MatMul', [inner, gathered(up)], { name: `${layer}/up` });
    builder.output(result, 'float32', ['batch', 'sequence', outputs]);
  }
  return prefixed(graphOf(builder.build({ name: 'branches' })), `${group[0]?.layer ?? ''}/`);
}

function zeros(layers: readonly string[]): GraphProto {
  const builder = new GraphBuilder();
  const zero = builder.constant('none', tensor('float32', [1, 1, 1], new Float32Array(1)));
  for (const layer of layers) {
    const result = builder.node('Identity', [zero], { name: `${layer}/none` });
    builder.output(result, 'float32', [1, 1, 1]);
  }
  return prefixed(graphOf(builder.build({ name: 'none' })), `${layers[0] ?? ''}/`);
}

/** Values inside a graph of an `If` get names that the outer graph does not have. */
function prefixed(graph: GraphProto, prefix: string): GraphProto {
  const own = new Set([
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.flatMap(({ output }) => output),
  ]);
  const rename = (name: string) => (own.has(name) ? `${prefix}${name}` : name);
  return {
    ...graph,
    initializer: graph.initializer.map((constant) => ({ ...constant, name: rename(constant.name) })),
    node: graph.node.map((node) => ({
      ...node,
      name: `${prefix}${node.name}`,
      input: node.input.map(rename),
      output: node.output.map(rename),
    })),
    output: graph.output.map((value) => ({ ...value, name: rename(value.name) })),
  };
}
