import { ThalamusError } from '@thalamus/errors';
import { tensor } from '@thalamus/tensor';
import type { AttributeValue, GraphBuilder, OnnxGraph, ValueName } from '@thalamus/onnx-graph';
import { FLOAT_TYPES, type FloatType } from './float-types.js';
import { inferShapes, type SymbolicShape } from './infer-shapes.js';
import type { GraphNode } from './node-facts.js';

/** What rules write with: nodes of the backward pass, constants, and what is known of shapes. */
export class GradientTape {
  private readonly shapes: ReadonlyMap<string, SymbolicShape>;
  private readonly constants = new Map<string, ValueName>();
  private readonly sums = new Map<ValueName, ValueName>();

  constructor(
    readonly builder: GraphBuilder,
    graph: OnnxGraph,
    /** Values that depend on what is trained. */
    private readonly wanted: ReadonlySet<string>,
    /** Element type of what is trained, and so of every gradient. */
    private readonly elementType: FloatType,
  ) {
    this.shapes = inferShapes(graph);
  }

  /** Adds a node and returns its value. */
  op(
    operator: string,
    inputs: readonly ValueName[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): ValueName {
    return this.builder.node(operator, inputs, { name: `grad/${operator.toLowerCase()}`, attributes });
  }

  /** A whole-number constant. */
  ints(...values: readonly number[]): ValueName {
    return this.constant(`i${values.join()}`, () =>
      tensor('int64', [values.length], BigInt64Array.from(values, BigInt)),
    );
  }

  /** A scalar of the element type of the gradients. */
  scalar(value: number): ValueName {
    return this.constant(`f${value}`, () => FLOAT_TYPES[this.elementType].scalar(value));
  }

  /** Numbers or truth values in the element type of the gradients. */
  cast(value: ValueName): ValueName {
    return this.op('Cast', [value], { to: FLOAT_TYPES[this.elementType].code });
  }

  /** What is taken where a condition holds, zero elsewhere. */
  where(condition: ValueName, value: ValueName): ValueName {
    return this.op('Where', [condition, value, this.scalar(0)]);
  }

  shape(value: ValueName): ValueName {
    return this.op('Shape', [value]);
  }

  /** What is known of a shape: sizes, or names of those that vary; undefined when even the rank is unknown. */
  known(value: ValueName): SymbolicShape | undefined {
    return this.shapes.get(value);
  }

  /** Number of dimensions. @throws GRAPH_INVALID when it cannot be derived */
  rank(value: ValueName, node: GraphNode): number {
    const shape = this.shapes.get(value);
    if (shape) return shape.length;
    throw new ThalamusError(
      'GRAPH_INVALID',
      `The rank of ${value}, which node ${node.name} (${node.opType}) uses, cannot be derived; declare the shapes of the graph's inputs.`,
    );
  }

  /** Zeros of another value's shape. */
  zerosLike(value: ValueName): ValueName {
    return this.op('Expand', [this.scalar(0), this.shape(value)]);
  }

  /** True when a gradient for this value is needed. */
  wants(value: ValueName): boolean {
    return this.wanted.has(value);
  }

  /** Adds to the gradient of a value. */
  add(value: ValueName, gradient: ValueName): void {
    const earlier = this.sums.get(value);
    this.sums.set(value, earlier === undefined ? gradient : this.op('Add', [earlier, gradient]));
  }

  /** Adds to the gradient of a value that was broadcast against `like`: sums over the dimensions that were repeated. */
  addBroadcast(value: ValueName, gradient: ValueName, like: ValueName): void {
    this.addSummed(value, gradient, this.shapes.get(like));
  }

  /** The same for a gradient of a given shape, undefined when it is not known. */
  addSummed(value: ValueName, gradient: ValueName, from: SymbolicShape | undefined): void {
    if (!this.wants(value)) return;
    const to = this.shapes.get(value);
    if (from && to && from.length === to.length && from.every((size, axis) => size === to[axis])) {
      this.add(value, gradient);
      return;
    }
    this.add(value, this.reduceTo(gradient, value));
  }

  /** The gradient of a value that is complete when all its users have been visited. */
  gradientOf(value: ValueName): ValueName | undefined {
    return this.sums.get(value);
  }

  /** Sums a gradient over what broadcasting repeated, at run time: leading dimensions and those of size one. */
  private reduceTo(gradient: ValueName, value: ValueName): ValueName {
    const [large, small] = [this.shape(gradient), this.shape(value)];
    const missing = this.op('Sub', [this.op('Shape', [large]), this.op('Shape', [small])]);
    const ones = this.op('Expand', [this.ints(1), missing]);
    const padded = this.op('Concat', [ones, small], { axis: 0 });
    const repeated = this.op('NonZero', [this.op('Not', [this.op('Equal', [padded, large])])]);
    const axes = this.op('Reshape', [repeated, this.ints(-1)]);
    const summed = this.op('ReduceSum', [gradient, axes], { keepdims: 1, noop_with_empty_axes: 1 });
    return this.op('Reshape', [summed, small]);
  }

  private constant(key: string, make: () => Parameters<GraphBuilder['constant']>[1]): ValueName {
    const known = this.constants.get(key);
    if (known !== undefined) return known;
    const made = this.builder.constant(`grad/constant`, make());
    this.constants.set(key, made);
    return made;
  }
}
