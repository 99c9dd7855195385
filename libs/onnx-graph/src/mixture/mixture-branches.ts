import { tensor } from '@thalamus/tensor';
import { halves, transpose } from '../bert-encoder.js';
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

/**
 * Branches of the heaviest parents of each text, gathered from stacks that are padded to the largest rank. The factors of a text's
 * parents lie side by side once they are gathered, so that each layer takes two products, whatever their number.
 */
export class TopBranches implements BranchWriter {
  private readonly weights = new Map<number, ValueName>();

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
    return new Map(
      group.flatMap(({ layer, inputs, outputs, changes }): [string, ValueName][] => {
        const width = Math.max(...changes.map(({ rank }) => rank));
        if (width === 0) return [];
        const b = this.builder;
        const rows = this.gathered(
          `${layer}.down`,
          changes,
          width,
          inputs,
          ({ right }, k, i) => right[k * inputs + i]!,
        );
        const down = b.node('Transpose', [rows], { attributes: { perm: [0, 2, 1] } });
        const up = this.gathered(
          `${layer}.up`,
          changes,
          width,
          outputs,
          ({ rank, left }, k, o) => left[o * rank + k]!,
        );
        const inner = b.node('Mul', [b.node('MatMul', [input, down]), this.columns(width)]);
        return [[layer, b.node('MatMul', [inner, up], { name: `${layer}/branch` })]];
      }),
    );
  }

  /** float32 [batch, top * width, size]: factors of the parents of each text, from a stack [parents, width, size] of float16. */
  private gathered(
    name: string,
    changes: readonly MatrixChange[],
    width: number,
    size: number,
    value: (change: MatrixChange, k: number, at: number) => number,
  ): ValueName {
    const stack = new Float32Array(changes.length * width * size);
    changes.forEach((change, parent) => {
      for (let k = 0; k < change.rank; k++)
        for (let at = 0; at < size; at++) stack[(parent * width + k) * size + at] = value(change, k, at);
    });
    const b = this.builder;
    const stored = b.constant(name, halves(tensor('float32', [changes.length, width, size], stack)));
    const own = b.node('Gather', [stored, this.given.top], { attributes: { axis: 0 } });
    const wide = b.node('Cast', [own], { attributes: { to: 1 } });
    return b.node('Reshape', [wide, this.ints('flat', [0, this.given.count * width, size])]);
  }

  /** float32 [batch, 1, top * width]: the weights of the gathered parents, each for the columns of its factors. */
  private columns(width: number): ValueName {
    const known = this.weights.get(width);
    if (known !== undefined) return known;
    const b = this.builder;
    const { weights, top, count } = this.given;
    const own = b.node('GatherElements', [weights, top], { attributes: { axis: 1 } });
    const each = b.node('Unsqueeze', [own, this.ints('last', [2])]);
    const ones = b.constant('ones', tensor('float32', [1, 1, width], new Float32Array(width).fill(1)));
    const made = b.node('Reshape', [b.node('Mul', [each, ones]), this.ints('row', [0, 1, count * width])], {
      name: 'top_weights',
    });
    this.weights.set(width, made);
    return made;
  }

  private ints(name: string, values: readonly number[]): ValueName {
    return this.builder.constant(name, tensor('int64', [values.length], BigInt64Array.from(values, BigInt)));
  }
}

/** [in, sum of ranks]: right factors transposed, side by side. */
function downOf(changes: readonly MatrixChange[], inputs: number): Float32Array {
  const right = stackedRight(changes, inputs);
  return transpose(tensor('float32', [right.length / inputs, inputs], right)).data;
}

/** [sum of ranks, out]: left factors transposed, one under the other. */
function upOf(changes: readonly MatrixChange[], outputs: number): Float32Array {
  const left = stackedLeft(changes, outputs);
  return transpose(tensor('float32', [outputs, left.length / outputs], left)).data;
}
