import { ThalamusError } from '@thalamus/errors';
import type { GradientTape } from '../gradient-tape.js';
import { intAttribute, intsAttribute, type GraphNode } from '../node-facts.js';
import { wrap } from '../infer-shapes.js';
import type { GradientRule } from './elementwise.js';

/** The gradient has the elements of the output; they go back to the input's shape. */
const reshapeBack: GradientRule = (node, gradient, tape) => {
  const [x = ''] = node.input;
  tape.add(x, tape.op('Reshape', [gradient, tape.shape(x)]));
};

/** Sums: every element that was summed gets the gradient of its sum, times a factor. */
const reduction =
  (factor: (tape: GradientTape, spread: string, node: GraphNode) => string): GradientRule =>
  (node, gradient, tape) => {
    const [x = '', axes = ''] = node.input;
    const isKept = intAttribute(node, 'keepdims', 1) === 1 || axes === '';
    const wide = isKept ? gradient : tape.op('Unsqueeze', [gradient, axes]);
    tape.add(x, factor(tape, wide, node));
  };

/** Rules of operators that move, pick or sum elements. */
export const STRUCTURE_RULES: Readonly<Record<string, GradientRule>> = {
  Reshape: reshapeBack,
  Unsqueeze: reshapeBack,
  Squeeze: reshapeBack,
  Flatten: reshapeBack,
  Transpose: (node, gradient, tape) => {
    const [x = ''] = node.input;
    const perm = intsAttribute(node, 'perm');
    if (!perm) tape.add(x, tape.op('Transpose', [gradient]));
    else {
      const inverse = perm.map((_, axis) => perm.indexOf(axis));
      tape.add(x, tape.op('Transpose', [gradient], { perm: inverse }));
    }
  },
  ReduceSum: reduction((t, wide, { input: [x = ''] }) => t.op('Expand', [wide, t.shape(x)])),
  ReduceMean: reduction((t, wide, node) => {
    const [x = ''] = node.input;
    const count = t.op('Div', [t.op('Size', [x]), t.op('Size', [node.output[0] ?? ''])]);
    return t.op('Expand', [t.op('Div', [wide, t.op('Cast', [count], { to: 1 })]), t.shape(x)]);
  }),
  /** x / ||x||; a row of zeros has no direction: 0. */
  ReduceL2: (node, gradient, t) => {
    const [x = '', axes = ''] = node.input;
    const [y = ''] = node.output;
    const isKept = intAttribute(node, 'keepdims', 1) === 1 || axes === '';
    const widen = (value: string) => (isKept ? value : t.op('Unsqueeze', [value, axes]));
    const norm = t.op('Max', [widen(y), t.scalar(1e-30)]);
    t.add(x, t.op('Mul', [x, t.op('Div', [widen(gradient), norm])]));
  },
  /** Rows that were taken get their gradients back, added up where a row was taken more than once, in order. */
  Gather: (node, gradient, t) => {
    const [data = '', indices = ''] = node.input;
    if (intAttribute(node, 'axis', 0) !== 0)
      throw new ThalamusError(
        'GRAPH_INVALID',
        `Node ${node.name} (Gather) is differentiated along axis 0 only.`,
      );
    const tail = Array.from({ length: t.rank(data, node) - 1 }, (_, axis) => axis + 1);
    const rows = t.op('Reshape', [indices, t.ints(-1)]);
    const tailShape = t.op('Slice', [t.shape(data), t.ints(1), t.ints(2 ** 31 - 1), t.ints(0)]);
    const updates = t.op('Reshape', [
      gradient,
      t.op('Concat', [t.op('Shape', [rows]), tailShape], { axis: 0 }),
    ]);
    const wide = tail.length === 0 ? rows : t.op('Unsqueeze', [rows, t.ints(...tail)]);
    const spread = t.op('Expand', [wide, t.shape(updates)]);
    t.add(data, t.op('ScatterElements', [t.zerosLike(data), spread, updates], { axis: 0, reduction: 'add' }));
  },
  GatherElements: (node, gradient, t) => {
    const [data = '', indices = ''] = node.input;
    const axis = intAttribute(node, 'axis', 0);
    t.add(data, t.op('ScatterElements', [t.zerosLike(data), indices, gradient], { axis, reduction: 'add' }));
  },
  /** A slice of step one from a fixed start along one axis, all that this code writes: zeros before and after. */
  Slice: (node, gradient, t) => {
    const [x = '', starts = '', , axes = '', steps = ''] = node.input;
    if (axes === '' || steps !== '')
      throw new ThalamusError(
        'GRAPH_INVALID',
        `Node ${node.name} (Slice) must name its axes and no steps to be differentiated.`,
      );
    const rank = t.rank(x, node);
    const zeros = t.ints(...Array.from({ length: rank }, () => 0));
    const total = t.op('Sub', [t.shape(x), t.shape(gradient)]);
    const size = t.op('GatherElements', [t.shape(x), axes]);
    const positive = t.op('Where', [t.op('Less', [starts, t.ints(0)]), t.op('Add', [starts, size]), starts]);
    const before = t.op('ScatterElements', [zeros, axes, t.op('Min', [positive, size])]);
    const pads = t.op('Concat', [before, t.op('Sub', [total, before])], { axis: 0 });
    t.add(x, t.op('Pad', [gradient, pads]));
  },
  Concat: (node, gradient, t) => {
    const axis = wrap(intAttribute(node, 'axis', 0), t.rank(node.input[0] ?? '', node));
    let from = t.ints(0);
    for (const input of node.input) {
      const size = t.op('Gather', [t.shape(input), t.ints(axis)]);
      const to = t.op('Add', [from, size]);
      if (t.wants(input)) t.add(input, t.op('Slice', [gradient, from, to, t.ints(axis)]));
      from = to;
    }
  },
};
