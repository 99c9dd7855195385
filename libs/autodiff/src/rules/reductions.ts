import { ThalamusError } from '@thalamus/errors';
import type { GradientTape } from '../gradient-tape.js';
import { intAttribute, type GraphNode } from '../node-facts.js';
import type { GradientRule } from './elementwise.js';

/** A value of the output's shape with the dimensions that were reduced as ones, so that it broadcasts against the input. */
function widened(node: GraphNode, value: string, tape: GradientTape): string {
  const [, axes = ''] = node.input;
  // Without axes all dimensions are gone or kept: a scalar broadcasts as it is.
  const isKept = intAttribute(node, 'keepdims', 1) === 1 || axes === '';
  return isKept ? value : tape.op('Unsqueeze', [value, axes]);
}

/** Sums: every element that was summed gets the gradient of its sum, times a factor. */
const reduction =
  (factor: (tape: GradientTape, wide: string, node: GraphNode) => string): GradientRule =>
  (node, gradient, tape) => {
    refuseOldAxes(node);
    tape.add(node.input[0] ?? '', factor(tape, widened(node, gradient, tape), node));
  };

/** The gradient goes to the elements that were taken, in equal shares where several are equal. */
const extreme: GradientRule = (node, gradient, t) => {
  refuseOldAxes(node);
  const [x = '', axes = ''] = node.input;
  const [y = ''] = node.output;
  const isTaken = t.cast(t.op('Equal', [x, widened(node, y, t)]));
  const noop = intAttribute(node, 'noop_with_empty_axes', 0);
  const count = t.op('ReduceSum', axes === '' ? [isTaken] : [isTaken, axes], {
    keepdims: 1,
    noop_with_empty_axes: noop,
  });
  t.add(x, t.op('Mul', [isTaken, t.op('Div', [widened(node, gradient, t), count])]));
};

/** Rules of sums and the like over any axes. */
export const REDUCTION_RULES: Readonly<Record<string, GradientRule>> = {
  ReduceSum: reduction((t, wide, { input: [x = ''] }) => t.op('Expand', [wide, t.shape(x)])),
  ReduceMean: reduction((t, wide, node) => {
    const [x = ''] = node.input;
    const count = t.op('Div', [t.op('Size', [x]), t.op('Size', [node.output[0] ?? ''])]);
    return t.op('Expand', [t.op('Div', [wide, t.cast(count)]), t.shape(x)]);
  }),
  /** x / ||x||; a row of zeros has no direction: 0. */
  ReduceL2: reduction((t, wide, node) => {
    const [x = ''] = node.input;
    const norm = t.op('Max', [widened(node, node.output[0] ?? '', t), t.scalar(1e-30)]);
    return t.op('Mul', [x, t.op('Div', [wide, norm])]);
  }),
  ReduceMax: extreme,
  ReduceMin: extreme,
};

/** Operator sets before 18 name axes as an attribute. */
function refuseOldAxes(node: GraphNode): void {
  if (node.attribute.some(({ name }) => name === 'axes'))
    throw new ThalamusError(
      'GRAPH_INVALID',
      `Node ${node.name} (${node.opType}) names its axes as an attribute; give them as its second input.`,
    );
}
