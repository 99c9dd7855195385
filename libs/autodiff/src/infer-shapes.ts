import type { OnnxGraph } from '@thalamus/onnx-graph';
import { constantInts, intAttribute, intsAttribute, type GraphNode } from './node-facts.js';

/** Sizes of dimensions, or names of those that vary: equal names are equal sizes. */
export type SymbolicShape = readonly (number | string)[];

type Shapes = Map<string, SymbolicShape>;

/**
 * What can be said of the shapes of a graph's values from its inputs and constants. Values whose rank cannot be derived are
 * absent; a size that cannot be is named after its value, so that it equals no other.
 */
export function inferShapes(graph: OnnxGraph): ReadonlyMap<string, SymbolicShape> {
  const shapes: Shapes = new Map();
  for (const { name, type } of graph.input) {
    if (type?.value.case !== 'tensorType') continue;
    const dims = type.value.value.shape?.dim ?? [];
    shapes.set(
      name,
      dims.map(({ value }, axis) => {
        if (value.case === 'dimValue') return Number(value.value);
        return value.case === 'dimParam' ? value.value : `${name}#${axis}`;
      }),
    );
  }
  for (const { name, dims } of graph.initializer) shapes.set(name, dims.map(Number));
  for (const node of graph.node) {
    const shape = outputShape(node, shapes, graph);
    const [output = ''] = node.output;
    if (shape) shapes.set(output, shape);
    if (node.opType === 'Split') for (const [name, part] of splitShapes(node, shapes)) shapes.set(name, part);
  }
  return shapes;
}

const SAME = new Set([
  ...['Identity', 'Cast', 'Neg', 'Sqrt', 'Exp', 'Log', 'Tanh', 'Relu', 'Erf', 'Gelu', 'Abs', 'Sigmoid'],
  ...['Softmax', 'LogSoftmax', 'LayerNormalization', 'Not', 'ScatterElements', 'ScatterND', 'Reciprocal'],
  ...['Clip', 'CastLike', 'Sign', 'Floor', 'Ceil', 'Round'],
]);
const BROADCAST = new Set([
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Max',
  'Min',
  'Pow',
  'Where',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'And',
  'Or',
]);

type ShapeRule = (
  node: GraphNode,
  first: SymbolicShape,
  second: SymbolicShape | undefined,
  graph: OnnxGraph,
) => SymbolicShape | undefined;

const reduction: ShapeRule = (node, first, _, graph) =>
  reduce(node, first, constantInts(graph, node.input[1] ?? ''));
const outputOf = (node: GraphNode) => node.output[0] ?? '';

const SHAPE_RULES: Readonly<Record<string, ShapeRule>> = {
  MatMul: (node, first, second) => second && matMul(first, second, outputOf(node)),
  Transpose: (node, first) =>
    (intsAttribute(node, 'perm') ?? [...first.keys()].reverse()).map((axis) => first[axis]!),
  Reshape: (node, first, _, graph) =>
    reshape(first, constantInts(graph, node.input[1] ?? ''), outputOf(node)),
  Gather: (node, first, second) => {
    const axis = wrap(intAttribute(node, 'axis', 0), first.length);
    return second && [...first.slice(0, axis), ...second, ...first.slice(axis + 1)];
  },
  GatherElements: (_node, _first, second) => second,
  Unsqueeze: (node, first, _, graph) => {
    const axes = constantInts(graph, node.input[1] ?? '');
    return axes && unsqueeze(first, axes);
  },
  Squeeze: (node, first, _, graph) => {
    const axes = constantInts(graph, node.input[1] ?? '');
    if ((node.input[1] ?? '') === '')
      return first.every((size) => typeof size === 'number') ? first.filter((size) => size !== 1) : undefined;
    return axes && first.filter((_size, axis) => !axes.some((given) => wrap(given, first.length) === axis));
  },
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceL2: reduction,
  ReduceMax: reduction,
  ReduceMin: reduction,
  Slice: (node, first) => first.map((_, axis) => `${outputOf(node)}#${axis}`),
  Concat: (node, first) => withUnknown(first, intAttribute(node, 'axis', 0), outputOf(node)),
  Expand: (node, first, second, graph) => {
    const sizes = constantInts(graph, node.input[1] ?? '');
    if (sizes) return broadcast([first, sizes], outputOf(node));
    // How many sizes are given is the least rank of the result.
    const [count] = second ?? [];
    if (typeof count !== 'number') return undefined;
    return unknownShape(Math.max(count, first.length), outputOf(node));
  },
  GatherND: (node, first, second) => {
    const depth = second?.at(-1);
    const batchDims = intAttribute(node, 'batch_dims', 0);
    return second && typeof depth === 'number'
      ? [...second.slice(0, -1), ...first.slice(batchDims + depth)]
      : undefined;
  },
  Gemm: (node, first, second) =>
    second && [first[intAttribute(node, 'transA', 0)]!, second[1 - intAttribute(node, 'transB', 0)]!],
  Flatten: (node) => unknownShape(2, outputOf(node)),
  Shape: (_, first) => [first.length],
  Size: () => [],
};

const unknownShape = (rank: number, output: string): SymbolicShape =>
  Array.from({ length: rank }, (_, axis) => `${output}#${axis}`);

/** A shape whose size along one axis is not known. */
function withUnknown(shape: SymbolicShape, axis: number, output: string): SymbolicShape {
  const changed = wrap(axis, shape.length);
  return shape.map((size, at) => (at === changed ? `${output}#${at}` : size));
}

/** Shapes of the parts of a Split. */
function splitShapes(node: GraphNode, shapes: Shapes): [string, SymbolicShape][] {
  const whole = shapes.get(node.input[0] ?? '');
  const axis = intAttribute(node, 'axis', 0);
  return whole ? node.output.map((output) => [output, withUnknown(whole, axis, output)]) : [];
}

function outputShape(node: GraphNode, shapes: Shapes, graph: OnnxGraph): SymbolicShape | undefined {
  const inputs = node.input.map((name) => shapes.get(name));
  const [first, second] = inputs;
  if (SAME.has(node.opType)) return first;
  if (BROADCAST.has(node.opType))
    return inputs.some((shape) => !shape) ? undefined : broadcast(inputs as SymbolicShape[], outputOf(node));
  return first && SHAPE_RULES[node.opType]?.(node, first, second, graph);
}

function broadcast(shapes: readonly SymbolicShape[], output: string): SymbolicShape {
  const rank = Math.max(...shapes.map(({ length }) => length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = new Set(
      shapes.map((shape) => shape[shape.length - rank + axis] ?? 1).filter((size) => size !== 1),
    );
    if (sizes.size === 0) return 1;
    const fixed = [...sizes].find((size) => typeof size === 'number');
    return sizes.size === 1 ? [...sizes][0]! : (fixed ?? `${output}#${axis}`);
  });
}

function matMul(a: SymbolicShape, b: SymbolicShape, output: string): SymbolicShape | undefined {
  if (a.length < 2 || b.length < 2) return undefined;
  return [...broadcast([a.slice(0, -2), b.slice(0, -2)], output), a.at(-2)!, b.at(-1)!];
}

function reshape(
  from: SymbolicShape,
  to: readonly number[] | undefined,
  output: string,
): SymbolicShape | undefined {
  return to?.map((size, axis) => {
    if (size === 0) return from[axis] ?? `${output}#${axis}`;
    return size === -1 ? `${output}#${axis}` : size;
  });
}

function unsqueeze(shape: SymbolicShape, axes: readonly number[]): SymbolicShape {
  const rank = shape.length + axes.length;
  const added = new Set(axes.map((axis) => wrap(axis, rank)));
  const rest = [...shape];
  return Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift()!));
}

function reduce(
  node: GraphNode,
  shape: SymbolicShape,
  axes: readonly number[] | undefined,
): SymbolicShape | undefined {
  const isKept = intAttribute(node, 'keepdims', 1) === 1;
  if (!axes) {
    if ((node.input[1] ?? '') !== '') return undefined;
    return isKept ? shape.map(() => 1) : [];
  }
  const gone = new Set(axes.map((axis) => wrap(axis, shape.length)));
  return shape.flatMap((size, axis) => (gone.has(axis) ? (isKept ? [1] : []) : [size]));
}

/** An axis counted from the end is counted from the start. */
export function wrap(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
