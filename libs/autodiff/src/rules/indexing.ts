import { ThalamusError } from '@thalamus/errors';
import type { GradientTape } from '../gradient-tape.js';
import { wrap } from '../infer-shapes.js';
import { INT64, intAttribute, textAttribute, type GraphNode } from '../node-facts.js';
import type { GradientRule } from './elementwise.js';

/** Slice takes this as "to the end". */
const END = 2 ** 31 - 1;

/** Dimensions of a shape from one axis to before another. */
const dims = (t: GradientTape, shape: string, from: number, to = END) =>
  t.op('Slice', [shape, t.ints(from), t.ints(to), t.ints(0)]);

/** int64, whatever whole numbers they were. */
const int64 = (t: GradientTape, value: string) => t.op('Cast', [value], { to: INT64 });

/** A sum by place: ScatterElements adds one after the other on one thread, so equal runs give equal bits. */
function addAt(t: GradientTape, data: string, indices: string, updates: string, axis: number): string {
  return t.op('ScatterElements', [data, indices, updates], { axis, reduction: 'add' });
}

/** Rules of operators that pick elements, or put some in place of others. */
export const INDEXING_RULES: Readonly<Record<string, GradientRule>> = {
  /** Slices that were taken get their gradients back, added up where one was taken more than once, in order. */
  Gather: (node, gradient, t) => {
    const [data = '', indices = ''] = node.input;
    const rank = t.rank(data, node);
    const axis = wrap(intAttribute(node, 'axis', 0), rank);
    const shape = t.shape(data);
    const rows = t.op('Reshape', [indices, t.ints(-1)]);
    const updatesShape = t.op(
      'Concat',
      [dims(t, shape, 0, axis), t.op('Shape', [rows]), dims(t, shape, axis + 1)],
      { axis: 0 },
    );
    const updates = t.op('Reshape', [gradient, updatesShape]);
    const others = Array.from({ length: rank }, (_, at) => at).filter((at) => at !== axis);
    const wide = others.length === 0 ? rows : t.op('Unsqueeze', [rows, t.ints(...others)]);
    t.add(data, addAt(t, t.zerosLike(data), t.op('Expand', [wide, updatesShape]), updates, axis));
  },
  GatherElements: (node, gradient, t) => {
    const [data = '', indices = ''] = node.input;
    t.add(data, addAt(t, t.zerosLike(data), indices, gradient, intAttribute(node, 'axis', 0)));
  },
  /** As Gather over the rows of the data with all indexed dimensions made one. */
  GatherND: (node, gradient, t) => {
    const [data = '', given = ''] = node.input;
    const batchDims = intAttribute(node, 'batch_dims', 0);
    const depth = batchDims + indexDepth(t, given, node);
    const indices = withBatchIndices(t, given, batchDims, t.rank(given, node));
    const shape = t.shape(data);
    const isNegative = t.op('Less', [indices, t.ints(0)]);
    const ahead = t.op('Add', [indices, dims(t, shape, 0, depth)]);
    const positive = t.op('Where', [isNegative, ahead, indices]);
    let row = columnOf(t, positive, 0);
    for (let axis = 1; axis < depth; axis++) {
      const passed = t.op('Mul', [row, dims(t, shape, axis, axis + 1)]);
      row = t.op('Add', [passed, columnOf(t, positive, axis)]);
    }
    const width = t.op('ReduceProd', [dims(t, shape, depth), t.ints(0)], { keepdims: 1 });
    const tableShape = t.op('Concat', [t.ints(-1), width], { axis: 0 });
    const table = t.op('Reshape', [t.zerosLike(data), tableShape]);
    const updates = t.op('Reshape', [gradient, tableShape]);
    const sum = addAt(t, table, t.op('Expand', [row, t.shape(updates)]), updates, 0);
    t.add(data, t.op('Reshape', [sum, shape]));
  },
  ScatterND: (node, gradient, t) => {
    const [data = '', indices = '', updates = ''] = node.input;
    const isSum = isAdding(node);
    if (t.wants(data))
      t.add(data, isSum ? gradient : t.op('ScatterND', [gradient, indices, t.zerosLike(updates)]));
    if (t.wants(updates)) t.add(updates, t.op('GatherND', [gradient, indices]));
  },
  ScatterElements: (node, gradient, t) => {
    const [data = '', indices = '', updates = ''] = node.input;
    const axis = intAttribute(node, 'axis', 0);
    const isSum = isAdding(node);
    const without = () => t.op('ScatterElements', [gradient, indices, t.zerosLike(updates)], { axis });
    if (t.wants(data)) t.add(data, isSum ? gradient : without());
    if (t.wants(updates)) t.add(updates, t.op('GatherElements', [gradient, indices], { axis }));
  },
  /** Steps of one along named axes: zeros before and after. Else the gradient goes to the places that the same slice picks. */
  Slice: (node, gradient, t) => {
    const [x = '', starts = '', ends = '', axes = '', steps = ''] = node.input;
    if (axes !== '' && steps === '') {
      t.add(x, padded(node, gradient, t));
      return;
    }
    const size = t.op('Size', [x]);
    const range = t.op('Range', [t.op('Squeeze', [t.ints(0)]), size, t.op('Squeeze', [t.ints(1)])]);
    const places = t.op('Reshape', [range, t.shape(x)]);
    const inputs = [places, starts, ends, axes, steps];
    while (inputs.at(-1) === '') inputs.pop();
    const taken = t.op('Reshape', [t.op('Slice', inputs), t.ints(-1)]);
    const flat = t.op('Reshape', [t.zerosLike(x), t.ints(-1)]);
    const filled = addAt(t, flat, taken, t.op('Reshape', [gradient, t.ints(-1)]), 0);
    t.add(x, t.op('Reshape', [filled, t.shape(x)]));
  },
};

/** The gradient of a slice of step one, with zeros before and after it along each axis. */
function padded(node: GraphNode, gradient: string, t: GradientTape): string {
  const [x = '', givenStarts = '', , givenAxes = ''] = node.input;
  const [starts, axes] = [int64(t, givenStarts), int64(t, givenAxes)];
  const zeros = t.ints(...Array.from({ length: t.rank(x, node) }, () => 0));
  const total = t.op('Sub', [t.shape(x), t.shape(gradient)]);
  const size = t.op('GatherElements', [t.shape(x), axes]);
  const wrapped = t.op('Where', [t.op('Less', [starts, t.ints(0)]), t.op('Add', [starts, size]), starts]);
  const within = t.op('Max', [t.op('Min', [wrapped, size]), t.ints(0)]);
  const before = t.op('ScatterElements', [zeros, axes, within]);
  // What starts after its end is empty; all of it is zeros then.
  const least = t.op('Min', [before, total]);
  const pads = t.op('Concat', [least, t.op('Sub', [total, least])], { axis: 0 });
  return t.op('Pad', [gradient, pads]);
}

/** One column of the indices, [number of indices, 1]. */
function columnOf(t: GradientTape, indices: string, axis: number): string {
  return t.op('Reshape', [t.op('Gather', [indices, t.ints(axis)], { axis: -1 }), t.ints(-1, 1)]);
}

/** Dimensions that one index of a GatherND names. */
function indexDepth(t: GradientTape, indices: string, node: GraphNode): number {
  const depth = t.known(indices)?.at(-1);
  if (typeof depth === 'number') return depth;
  throw new ThalamusError(
    'GRAPH_INVALID',
    `The last size of ${indices}, which node ${node.name} (GatherND) uses, cannot be derived; declare it.`,
  );
}

/** Indices with those of the leading dimensions that the batch is counted by put before them. */
function withBatchIndices(t: GradientTape, indices: string, batchDims: number, rank: number): string {
  if (batchDims === 0) return indices;
  const shape = t.op('Concat', [dims(t, t.shape(indices), 0, rank - 1), t.ints(1)], { axis: 0 });
  const counted = Array.from({ length: batchDims }, (_, axis) => {
    const size = t.op('Gather', [t.shape(indices), t.op('Squeeze', [t.ints(axis)])]);
    const range = t.op('Range', [t.op('Squeeze', [t.ints(0)]), size, t.op('Squeeze', [t.ints(1)])]);
    const form = Array.from({ length: rank }, (_, at) => (at === axis ? -1 : 1));
    return t.op('Expand', [t.op('Reshape', [range, t.ints(...form)]), shape]);
  });
  return t.op('Concat', [...counted, indices], { axis: -1 });
}

/** Whether updates are added; otherwise they take a place. @throws GRAPH_INVALID for another reduction */
function isAdding(node: GraphNode): boolean {
  const reduction = textAttribute(node, 'reduction', 'none');
  if (reduction === 'add' || reduction === 'none') return reduction === 'add';
  throw new ThalamusError(
    'GRAPH_INVALID',
    `Node ${node.name} (${node.opType}) has the reduction ${reduction}; none and add have a gradient here.`,
  );
}
