import { create } from '@bufbuild/protobuf';
import { tensor } from '@thalamus/tensor';
import type { NodeProto } from '../codec/gen/onnx/onnx_pb.js';
import { NodeProtoSchema } from '../codec/gen/onnx/onnx_pb.js';
import { halves } from '../bert-encoder.js';
import { firstNode, linearLayers, type Linear } from '../encoder-layers.js';
import { GraphBuilder, type ValueName } from '../graph-builder.js';
import { graphOf, type OnnxGraph, type OnnxModel } from '../onnx-model.js';
import { WORDS } from '../read-bert-weights.js';
import {
  AllBranches,
  ColumnWeights,
  halfConstant,
  TopBranches,
  type BranchWriter,
} from './mixture-branches.js';
import {
  checkMatrixChanges,
  columnParents,
  MIXTURE_INPUTS,
  refuse,
  stackedLeft,
  stackedRight,
  type Mixture,
  type MixtureOptions,
} from './mixture.js';

const POSITIONS = 'embeddings.position_embeddings.weight';
/** Values of the encoder's graph that hold the rows of words and positions. */
const POSITION_ROWS = 'positions';

/**
 * Lets every text of a batch run through weights of its own: shared + sum over t of w_t change_t (Twin-Merging, arXiv 2406.15479,
 * equation 6), without ever building them. Beside a linear layer stand low-rank branches, x V diag(w) U; rows of embeddings get theirs
 * likewise; biases, gains and shifts are summed by the weights once for all layers. The encoder is one that `buildBertEncoder` made,
 * in any storage, and is not changed. Factors are stored as float16.
 * @throws COMPOSITION_REFUSED for changes that do not fit the encoder, GRAPH_INVALID for another graph
 */
export function addMixture(model: OnnxModel, mixture: Mixture, { top }: MixtureOptions = {}): OnnxModel {
  return new MixtureWriter(graphOf(model), mixture, top).write(model);
}

class MixtureWriter {
  private readonly b = new GraphBuilder('_mixture/');
  private readonly weights: ValueName;
  private readonly columns: ColumnWeights;
  private readonly branches: BranchWriter;
  private readonly groups: ReadonlyMap<NodeProto, readonly Linear[]>;
  private readonly bySum: ReadonlyMap<string, Linear>;
  private readonly made = new Map<string, ValueName>();
  /** What each changed vector is for the text: float32 [batch, 1, size]. */
  private vectors: ReadonlyMap<string, ValueName> = new Map();

  constructor(
    private readonly graph: OnnxGraph,
    private readonly mixture: Mixture,
    top: number | undefined,
  ) {
    const linears = linearLayers(graph);
    this.groups = new Map(
      [...Map.groupBy(linears, ({ input }) => input).values()].map((group) => [
        firstNode(graph, group),
        group,
      ]),
    );
    this.bySum = new Map(linears.map((linear) => [linear.output, linear]));
    this.checkNames(linears);
    for (const input of graph.input) this.b.copyInput(input);
    this.weights = this.b.input(MIXTURE_INPUTS.weights, 'float32', ['batch', mixture.parents]);
    this.columns = new ColumnWeights(this.b, this.weights);
    this.branches =
      top === undefined
        ? new AllBranches(this.b, this.columns)
        : new TopBranches(this.b, {
            weights: this.weights,
            top: this.b.input(MIXTURE_INPUTS.top, 'int64', ['batch', top]),
            count: top,
          });
  }

  write(model: OnnxModel): OnnxModel {
    const replaced = new Set(this.mixture.vectors.keys());
    for (const constant of this.graph.initializer)
      if (!replaced.has(constant.name)) this.b.copyConstant(constant);
    this.vectors = this.mixVectors();
    for (const node of this.graph.node) this.writeNode(node);
    for (const output of this.graph.output) this.b.copyOutput(output);
    const built = this.b.build({ name: this.graph.name });
    return { ...model, graph: graphOf(built) };
  }

  private writeNode(node: NodeProto): void {
    const group = this.groups.get(node);
    if (group) this.writeBranches(group);
    const [output = ''] = node.output;
    const linear = this.bySum.get(output);
    if (linear) {
      this.writeSum(node, linear);
      return;
    }
    if (node.opType === 'LayerNormalization' && this.vectors.has(node.input[1] ?? '')) {
      this.writeNorm(node);
      return;
    }
    if (output === WORDS || (node.opType === 'Gather' && node.input[0] === WORDS)) {
      this.writeRows(node, WORDS, (stack) =>
        this.b.node('Gather', [stack, 'input_ids'], { attributes: { axis: 0 } }),
      );
      return;
    }
    if (output === POSITION_ROWS) {
      this.writeRows(node, POSITIONS, (stack) =>
        this.b.node('Slice', [stack, 'zero', 'length', 'zero_axis']),
      );
      return;
    }
    this.b.copyNode(node);
  }

  private writeBranches(group: readonly Linear[]): void {
    const changed = group.flatMap(({ layer, inputs, outputs }) => {
      const changes = this.mixture.matrices.get(`${layer}.weight`);
      return changes ? [{ layer, inputs, outputs, changes }] : [];
    });
    for (const [layer, value] of this.branches.write(group[0]?.input ?? '', changed))
      this.made.set(layer, value);
  }

  /** The sum of a product with its bias, or with that of the text, and with the branch. */
  private writeSum(node: NodeProto, { layer, output }: Linear): void {
    const bias = this.vectors.get(`${layer}.bias`);
    const input = bias === undefined ? node.input : [node.input[0] ?? '', bias];
    const branch = this.made.get(layer);
    if (branch === undefined) {
      this.b.copyNode({ ...node, input });
      return;
    }
    const plain = `${layer}/plain`;
    this.b.copyNode({ ...node, input, output: [plain] });
    this.b.copyNode(nodeOf('Add', [plain, branch], output));
  }

  /** Gain and shift of the text after a norm without any. */
  private writeNorm(node: NodeProto): void {
    const [input = '', gain = '', shift = ''] = node.input;
    const [output = ''] = node.output;
    const size = this.mixture.vectors.get(gain)?.shared.length ?? 0;
    const ones = this.b.constant('ones', tensor('float32', [size], new Float32Array(size).fill(1)));
    const zeros = this.b.constant('zeros', tensor('float32', [size], new Float32Array(size)));
    const [normed, scaled] = [`${output}/normed`, `${output}/scaled`];
    this.b.copyNode({ ...node, input: [input, ones, zeros], output: [normed] });
    this.b.copyNode(nodeOf('Mul', [normed, this.vectors.get(gain) ?? ''], scaled));
    this.b.copyNode(nodeOf('Add', [scaled, this.vectors.get(shift) ?? ''], output));
  }

  /** Rows of an embedding table with those of the text's own change added. */
  private writeRows(node: NodeProto, name: string, rowsOf: (stack: ValueName) => ValueName): void {
    const changes = this.mixture.matrices.get(name);
    const parents = changes ? columnParents(changes) : new Int32Array();
    const [output = ''] = node.output;
    if (!changes || parents.length === 0) {
      this.b.copyNode(node);
      return;
    }
    const rank = changes.find((change) => change.rank > 0)!;
    const [rows, width] = [rank.left.length / rank.rank, rank.right.length / rank.rank];
    const plain = `${name}/plain`;
    this.b.copyNode({ ...node, output: [plain] });
    const left = tensor('float32', [rows, parents.length], stackedLeft(changes, rows));
    const stack = this.b.constant(`${name}.left`, halves(left));
    const own = this.b.node('Cast', [rowsOf(stack)], { attributes: { to: 1 } });
    const weighted = this.b.node('Mul', [own, this.columns.of(parents)]);
    const right = halfConstant(
      this.b,
      `${name}.right`,
      [parents.length, width],
      stackedRight(changes, width),
    );
    const change = this.b.node('MatMul', [weighted, right]);
    this.b.copyNode(nodeOf('Add', [plain, change], output));
  }

  /** All changed vectors of a text at once: shared + w · changes, then cut into their pieces. */
  private mixVectors(): ReadonlyMap<string, ValueName> {
    const entries = [...this.mixture.vectors].sort(([a], [c]) => (a < c ? -1 : 1));
    if (entries.length === 0) return new Map();
    const { parents } = this.mixture;
    const total = entries.reduce((sum, [, { shared }]) => sum + shared.length, 0);
    const shared = new Float32Array(total);
    const changes = new Float32Array(parents * total);
    let first = 0;
    for (const [name, vector] of entries) {
      const size = vector.shared.length;
      if (vector.changes.length !== parents * size)
        refuse(`${name} of ${size} elements has ${vector.changes.length} changes for ${parents} parents`);
      shared.set(vector.shared, first);
      for (let parent = 0; parent < parents; parent++)
        changes.set(vector.changes.subarray(parent * size, (parent + 1) * size), parent * total + first);
      first += size;
    }
    const b = this.b;
    const product = b.node('MatMul', [
      this.weights,
      b.constant('vector_changes', tensor('float32', [parents, total], changes)),
    ]);
    const sum = b.node('Add', [product, b.constant('vectors', tensor('float32', [total], shared))]);
    const axis = b.constant('vector_axis', tensor('int64', [1], BigInt64Array.of(1n)));
    const sizes = BigInt64Array.from(entries, ([, vector]) => BigInt(vector.shared.length));
    const pieces = b.nodeWithOutputs(
      'Split',
      [b.node('Unsqueeze', [sum, axis]), b.constant('sizes', tensor('int64', [sizes.length], sizes))],
      entries.map(([name]) => name),
      { attributes: { axis: -1 } },
    );
    return new Map(entries.map(([name], at) => [name, pieces[at]!]));
  }

  /** Everything that is changed must be in the encoder, and be of its size. */
  private checkNames(linears: readonly Linear[]): void {
    const shapes = new Map(
      linears.map(({ layer, inputs, outputs }) => [`${layer}.weight`, [outputs, inputs]]),
    );
    for (const name of [WORDS, POSITIONS]) {
      const stored = this.graph.initializer.find((constant) =>
        ['', '.int8', '.float16'].some((form) => constant.name === `${name}${form}`),
      );
      if (stored) shapes.set(name, stored.dims.map(Number));
    }
    for (const name of this.mixture.matrices.keys()) {
      const shape = shapes.get(name);
      if (!shape) refuse(`it changes ${name}, which the encoder does not have`);
      checkMatrixChanges(name, shape, this.mixture);
    }
    const constants = new Set(this.graph.initializer.map(({ name }) => name));
    for (const name of this.mixture.vectors.keys())
      if (!constants.has(name)) refuse(`it changes ${name}, which the encoder does not have`);
  }
}

const nodeOf = (opType: string, input: string[], output: string): NodeProto =>
  create(NodeProtoSchema, { name: `${opType} of ${output}`, opType, input, output: [output] });
