import { ThalamusError } from '@thalamus/errors';
import type { GraphProto, NodeProto } from './codec/gen/onnx/onnx_pb.js';

/** A linear layer that has a branch. */
export interface GatheredBranch {
  /** Name of the layer without `.weight`. */
  readonly layer: string;
  readonly inputs: number;
  readonly outputs: number;
  /** Input float16 [adapters, in, rank]: A of each adapter, transposed. */
  readonly down: string;
  /** Input float16 [adapters, rank, out]: B of each adapter, transposed. */
  readonly up: string;
}

/** A linear layer in the graph of an encoder: its product and the sum with its bias. */
export interface Linear extends GatheredBranch {
  readonly input: string;
  /** Output of the Add of its bias. */
  readonly output: string;
}

/** MatMul nodes whose second input is a weight `encoder.*.weight`, each followed by the sum with its bias. */
export function linearLayers(graph: GraphProto): Linear[] {
  const shapes = new Map(graph.initializer.map(({ name, dims }) => [name, dims.map(Number)]));
  return graph.node.flatMap((product) => {
    const [input = '', weight = ''] = product.input;
    if (product.opType !== 'MatMul' || !/^encoder\..*\.weight$/.test(weight)) return [];
    const shape = ['', '.int8', '.float16'].map((form) => shapes.get(`${weight}${form}`)).find(Boolean);
    const sum = graph.node.find(
      ({ opType, input: given }) => opType === 'Add' && given[0] === product.output[0],
    );
    const [inputs, outputs] = shape ?? [];
    const output = sum?.output[0];
    if (inputs === undefined || outputs === undefined || output === undefined) return [];
    const layer = weight.slice(0, -'.weight'.length);
    return [{ layer, inputs, outputs, input, output, down: `${layer}.down`, up: `${layer}.up` }];
  });
}

/** The first node of the graph that reads what a group reads: its branches can be computed before. */
export function firstNode(graph: GraphProto, group: readonly Linear[]): NodeProto {
  const found = graph.node.find(({ opType, input }) => opType === 'MatMul' && input[0] === group[0]?.input);
  if (!found) throw new ThalamusError('GRAPH_INVALID', 'A linear layer of the encoder has no product.');
  return found;
}
