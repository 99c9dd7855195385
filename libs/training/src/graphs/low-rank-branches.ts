import type { LowRankFactors } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { GraphBuilder, graphOf, tensorProto, type OnnxModel } from '@thalamus/onnx-graph';
import { tensor, type Random } from '@thalamus/tensor';
import type { Parameters } from '../loop/adamw.js';
import { transposed } from './fold-branches.js';

/** A low-rank branch beside a linear layer. */
export interface LowRankBranch {
  /** Name of the layer without `.weight`. */
  readonly layer: string;
  /** Constant [in, rank]: PEFT's A, transposed. */
  readonly down: string;
  /** Constant [rank, out]: PEFT's B, transposed. */
  readonly up: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** How branches are made. */
export interface BranchOptions {
  readonly rank: number;
  /** The branch is multiplied by alpha / rank. */
  readonly alpha: number;
  /** Fills A; B is zero, so that the model starts as it was. */
  readonly random: Random;
  /** Layers that get a branch, without `.weight`. Default: all. */
  readonly layers?: ReadonlySet<string>;
}

/**
 * Puts a low-rank branch beside every linear layer of an encoder (Hu et al. 2021, section 4.1): W x + alpha/rank B A x.
 * A is uniform in +-1/sqrt(in), as PEFT's default, B is zero. Layers are MatMul nodes over constants `encoder.*.weight`.
 * The model given is not changed.
 * @throws GRAPH_INVALID when there is no such layer
 */
export function addLowRankBranches(
  model: OnnxModel,
  { rank, alpha, random, layers }: BranchOptions,
): { readonly model: OnnxModel; readonly branches: readonly LowRankBranch[] } {
  const graph = graphOf(model);
  const shapes = new Map(graph.initializer.map(({ name, dims }) => [name, dims.map(Number)]));
  const branches: LowRankBranch[] = [];
  const constants = [...graph.initializer];
  const scale = 'low_rank_scale';
  constants.push(tensorProto(scale, tensor('float32', [], new Float32Array([alpha / rank]))));
  const node = graph.node.flatMap((given) => {
    const [input = '', weight = ''] = given.input;
    const shape = shapes.get(weight);
    const isLinear = given.opType === 'MatMul' && /^encoder\..*\.weight$/.test(weight) && shape?.length === 2;
    const layer = weight.slice(0, -'.weight'.length);
    if (!isLinear || layers?.has(layer) === false) return [given];
    const [inputs = 0, outputs = 0] = shape;
    const branch = { layer, down: `${layer}.lora_A`, up: `${layer}.lora_B`, inputs, outputs };
    branches.push(branch);
    const bound = 1 / Math.sqrt(inputs);
    const down = Float32Array.from({ length: inputs * rank }, () => (2 * random.next() - 1) * bound);
    constants.push(tensorProto(branch.down, tensor('float32', [inputs, rank], down)));
    constants.push(
      tensorProto(branch.up, tensor('float32', [rank, outputs], new Float32Array(rank * outputs))),
    );
    const [output = ''] = given.output;
    const step = (name: string) => `${layer}/${name}`;
    return [
      { ...given, output: [step('frozen')] },
      ...nodesOf(layer, [
        ['MatMul', [input, branch.down], step('down')],
        ['MatMul', [step('down'), branch.up], step('up')],
        ['Mul', [step('up'), scale], step('scaled')],
        ['Add', [step('frozen'), step('scaled')], output],
      ]),
    ];
  });
  if (branches.length === 0)
    throw new ThalamusError(
      'GRAPH_INVALID',
      'The graph has no linear layers of an encoder to put branches beside.',
    );
  return { model: { ...model, graph: { ...graph, node, initializer: constants } }, branches };
}

/** Trained branches as factors in PEFT's layout. */
export function branchFactors(
  branches: readonly LowRankBranch[],
  parameters: Parameters,
  rank: number,
): LowRankFactors[] {
  return branches.map(({ layer, down, up, inputs, outputs }) => ({
    layer,
    rank,
    inputs,
    outputs,
    a: transposed(parameters.get(down)!.data, inputs, rank),
    b: transposed(parameters.get(up)!.data, rank, outputs),
  }));
}

/** Nodes without attributes, written by hand since their outputs have given names. */
function nodesOf(layer: string, steps: readonly (readonly [string, readonly string[], string])[]) {
  return steps.map(([operator, inputs, output]) => {
    const builder = new GraphBuilder();
    for (const name of inputs) builder.input(name, 'float32', []);
    builder.node(operator, inputs, { name: output });
    const [made] = graphOf(builder.build({ name: layer })).node;
    return { ...made!, name: `${operator} of ${output}` };
  });
}
