import { tensor, type Tensor } from '@thalamus/tensor';
import { halves } from '../bert-encoder.js';
import type { GraphBuilder, ValueName } from '../graph-builder.js';
import { columnParents, stackedLeft, stackedRight, type MatrixChange } from './mixture.js';

/** A linear layer with what each parent changes of its weights [out, in]. */
export interface ChangedLayer {
  /** Name of the layer without `.weight`. */
  readonly layer: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly changes: readonly MatrixChange[];
}

/** Writes the branches beside linear layers. */
export interface BranchWriter {
  /** Branches of layers that read one value, float32 [batch, sequence, inputs]; [batch, sequence, outputs] by layer. */
  write(input: ValueName, group: readonly ChangedLayer[]): ReadonlyMap<string, ValueName>;
}

/** Adds a constant that is stored as float16 and read as float32. */
export function halfConstant(
  builder: GraphBuilder,
  name: string,
  shape: readonly number[],
  data: Float32Array,
): ValueName {
  const stored = builder.constant(`${name}.float16`, halves(tensor('float32', shape, data)));
  return builder.node('Cast', [stored], { name, attributes: { to: 1 } });
}

/** Weights of texts repeated for the columns of stacked factors. */
export class ColumnWeights {
  private readonly known = new Map<string, ValueName>();

  constructor(
    private readonly builder: GraphBuilder,
    /** float32 [batch, parents] */
    private readonly weights: ValueName,
  ) {}

  /** float32 [batch, 1, columns] for the parents of the columns. */
  of(parents: Int32Array): ValueName {
    const key = parents.join(',');
    const found = this.known.get(key);
    if (found !== undefined) return found;
    const b = this.builder;
    const columns = b.constant('columns', tensor('int32', [parents.length], parents));
    const gathered = b.node('Gather', [this.weights, columns], { attributes: { axis: 1 } });
    const axis = b.constant('axis', tensor('int64', [1], BigInt64Array.of(1n)));
    const made = b.node('Unsqueeze', [gathered, axis], { name: 'weights' });
    this.known.set(key, made);
    return made;
  }
}

/** Branches of all parents for every text: x V · w U with the factors of all parents in one matrix each. */
export class AllBranches implements BranchWriter {
  constructor(
    private readonly builder: GraphBuilder,
    private readonly columns: ColumnWeights,
  ) {}

  write(input: ValueName, group: readonly ChangedLayer[]): ReadonlyMap<string, ValueName> {
    const b = this.builder;
    return new Map(
      group.flatMap(({ layer, inputs, outputs, changes }): [string, ValueName][] => {
        const parents = columnParents(changes);
        if (parents.length === 0) return [];
        const width = parents.length;
        const down = halfConstant(b, `${layer}.down`, [inputs, width], downOf(changes, inputs));
        const up = halfConstant(b, `${layer}.up`, [width, outputs], upOf(changes, outputs));
        const inner = b.node('Mul', [b.node('MatMul', [input, down]), this.columns.of(parents)]);
        return [[layer, b.node('MatMul', [inner, up], { name: `${layer}/branch` })]];
      }),
    );
  }
}

/** Branches of the heaviest parents of each text, gathered from stacks that are padded to the largest rank. */
export class TopBranches implements BranchWriter {
  private weights: ValueName | undefined;

  constructor(
    private readonly builder: GraphBuilder,
    private readonly given: {
      /** float32 [batch, parents] */
      readonly weights: ValueName;
      /** int64 [batch, top] */
      readonly top: ValueName;
      /** How many parents a text has. */
      readonly count: number;
    },
  ) {}

  write(input: ValueName, group: readonly ChangedLayer[]): ReadonlyMap<string, ValueName> {
    const changed = group.filter(({ changes }) => changes.some(({ rank }) => rank > 0));
    const [first] = changed;
    if (!first) return new Map();
    const b = this.builder;
    const parents = first.changes.length;
    const ranks = changed.map(({ changes }) => Math.max(...changes.map(({ rank }) => rank)));
    const width = ranks.reduce((sum, rank) => sum + rank, 0);
    const down = new Float32Array(parents * first.inputs * width);
    let column = 0;
    changed.forEach(({ inputs, changes }, at) => {
      changes.forEach(({ rank, right }, parent) => {
        for (let k = 0; k < rank; k++)
          for (let i = 0; i < inputs; i++)
            down[(parent * inputs + i) * width + column + k] = right[k * inputs + i]!;
      });
      column += ranks[at]!;
    });
    const x = b.node('Unsqueeze', [input, this.axis(1)]);
    const inner = b.node('Mul', [
      b.node('MatMul', [x, this.gathered(`${first.layer}.down`, [parents, first.inputs, width], down)]),
      this.factors(),
    ]);
    const names = changed.map(({ layer }) => `${layer}/inner`);
    const sizes = b.constant('ranks', tensor('int64', [ranks.length], BigInt64Array.from(ranks, BigInt)));
    const parts =
      changed.length === 1
        ? [inner]
        : b.nodeWithOutputs('Split', [inner, sizes], names, { attributes: { axis: -1 } });
    return new Map(changed.map((layer, at) => [layer.layer, this.up(layer, parts[at]!, ranks[at]!)]));
  }

  private up({ layer, outputs, changes }: ChangedLayer, inner: ValueName, width: number): ValueName {
    const up = new Float32Array(changes.length * width * outputs);
    changes.forEach(({ rank, left }, parent) => {
      for (let k = 0; k < rank; k++)
        for (let o = 0; o < outputs; o++) up[(parent * width + k) * outputs + o] = left[o * rank + k]!;
    });
    const stack = this.gathered(`${layer}.up`, [changes.length, width, outputs], up);
    const each = this.builder.node('MatMul', [inner, stack]);
    const operator = this.given.count === 1 ? 'Squeeze' : 'ReduceSum';
    const attributes = operator === 'ReduceSum' ? { keepdims: 0 } : {};
    return this.builder.node(operator, [each, this.axis(1)], { name: `${layer}/branch`, attributes });
  }

  /** float32 [batch, top, rows, columns] of a stack [parents, rows, columns]. */
  private gathered(name: string, shape: readonly number[], data: Float32Array): ValueName {
    const b = this.builder;
    const stack = b.constant(name, halves(tensor('float32', shape, data)));
    const own = b.node('Gather', [stack, this.given.top], { attributes: { axis: 0 } });
    return b.node('Cast', [own], { attributes: { to: 1 } });
  }

  /** float32 [batch, top, 1, 1]: the weights of the gathered parents. */
  private factors(): ValueName {
    const b = this.builder;
    this.weights ??= b.node(
      'Unsqueeze',
      [
        b.node('GatherElements', [this.given.weights, this.given.top], { attributes: { axis: 1 } }),
        this.axis(2, 3),
      ],
      { name: 'top_weights' },
    );
    return this.weights;
  }

  private axis(...axes: number[]): ValueName {
    const values: Tensor = tensor('int64', [axes.length], BigInt64Array.from(axes, BigInt));
    return this.builder.constant('axes', values);
  }
}

/** [in, sum of ranks]: right factors transposed, side by side. */
function downOf(changes: readonly MatrixChange[], inputs: number): Float32Array {
  const right = stackedRight(changes, inputs);
  return transposed(right, right.length / inputs, inputs);
}

/** [sum of ranks, out]: left factors transposed, one under the other. */
function upOf(changes: readonly MatrixChange[], outputs: number): Float32Array {
  const left = stackedLeft(changes, outputs);
  return transposed(left, outputs, left.length / outputs);
}

function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = matrix[row * columns + column]!;
  return result;
}
