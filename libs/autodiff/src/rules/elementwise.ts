import type { GradientTape } from '../gradient-tape.js';
import { textAttribute, type GraphNode } from '../node-facts.js';

/** Writes the gradients of a node's inputs, given that of its output. */
export type GradientRule = (node: GraphNode, gradient: string, tape: GradientTape) => void;

const names = (node: GraphNode): [string, string, string] => [
  node.input[0] ?? '',
  node.input[1] ?? '',
  node.output[0] ?? '',
];

/** A rule of one input: gradient times a derivative. */
const unary =
  (write: (tape: GradientTape, gradient: string, x: string, y: string) => string): GradientRule =>
  (node, gradient, tape) => {
    const [x, , y] = names(node);
    tape.add(x, write(tape, gradient, x, y));
  };

/** The gradient goes to the input that was taken; of equal inputs to the first one. */
const firstOfEqual: GradientRule = (node, g, t) => {
  const [y = ''] = node.output;
  let taken: string | undefined;
  for (const input of node.input) {
    const isEqual = t.op('Equal', [input, y]);
    const isFirst = taken === undefined ? isEqual : t.op('And', [isEqual, t.op('Not', [taken])]);
    if (t.wants(input)) t.addBroadcast(input, t.where(isFirst, g), y);
    taken = taken === undefined ? isEqual : t.op('Or', [taken, isEqual]);
  }
};

/** Rules of operators that act on each element, broadcasting where they have two inputs. */
export const ELEMENTWISE_RULES: Readonly<Record<string, GradientRule>> = {
  Identity: unary((_, g) => g),
  Cast: unary((_, g) => g),
  Neg: unary((t, g) => t.op('Neg', [g])),
  Exp: unary((t, g, _, y) => t.op('Mul', [g, y])),
  Log: unary((t, g, x) => t.op('Div', [g, x])),
  Sqrt: unary((t, g, _, y) => t.op('Div', [g, t.op('Mul', [y, t.scalar(2)])])),
  Tanh: unary((t, g, _, y) => t.op('Mul', [g, t.op('Sub', [t.scalar(1), t.op('Mul', [y, y])])])),
  Sigmoid: unary((t, g, _, y) => t.op('Mul', [g, t.op('Mul', [y, t.op('Sub', [t.scalar(1), y])])])),
  Abs: unary((t, g, x) => t.op('Mul', [g, t.op('Sign', [x])])),
  // At zero as elsewhere in the field: no gradient.
  Relu: unary((t, g, x) => t.where(t.op('Greater', [x, t.scalar(0)]), g)),
  Erf: unary((t, g, x) => t.op('Mul', [g, t.op('Mul', [t.scalar(2 / Math.sqrt(Math.PI)), bell(t, x, 1)])])),
  Gelu: (node, g, t) => {
    const [x] = names(node);
    const isTanh = textAttribute(node, 'approximate', 'none') === 'tanh';
    t.add(x, t.op('Mul', [g, isTanh ? tanhGeluSlope(t, x) : geluSlope(t, x)]));
  },
  Add: (node, g, t) => {
    const [a, b, y] = names(node);
    t.addBroadcast(a, g, y);
    t.addBroadcast(b, g, y);
  },
  Sub: (node, g, t) => {
    const [a, b, y] = names(node);
    t.addBroadcast(a, g, y);
    if (t.wants(b)) t.addBroadcast(b, t.op('Neg', [g]), y);
  },
  Mul: (node, g, t) => {
    const [a, b, y] = names(node);
    if (t.wants(a)) t.addBroadcast(a, t.op('Mul', [g, b]), y);
    if (t.wants(b)) t.addBroadcast(b, t.op('Mul', [g, a]), y);
  },
  Div: (node, g, t) => {
    const [a, b, y] = names(node);
    if (t.wants(a)) t.addBroadcast(a, t.op('Div', [g, b]), y);
    if (t.wants(b)) t.addBroadcast(b, t.op('Neg', [t.op('Div', [t.op('Mul', [g, y]), b])]), y);
  },
  /**
   * By the base g e x^(e-1), by the exponent g y log x. Where the exponent is 0 the first is 0, and where the base is not positive
   * the second is: x^e is no real number beside it.
   */
  Pow: (node, g, t) => {
    const [x, given, y] = names(node);
    // The exponent may be of another type; it is one of ours then.
    const exponent = t.op('CastLike', [given, x]);
    const zero = t.scalar(0);
    if (t.wants(x)) {
      const slope = t.op('Mul', [exponent, t.op('Pow', [x, t.op('Sub', [exponent, t.scalar(1)])])]);
      const isFlat = t.op('Equal', [exponent, zero]);
      t.addBroadcast(x, t.op('Mul', [g, t.op('Where', [isFlat, zero, slope])]), y);
    }
    if (t.wants(given)) {
      const isPositive = t.op('Greater', [x, zero]);
      const log = t.op('Log', [t.op('Where', [isPositive, x, t.scalar(1)])]);
      t.addBroadcast(given, t.op('Mul', [g, t.op('Mul', [y, log])]), y);
    }
  },
  Max: firstOfEqual,
  Min: firstOfEqual,
  /** min(max(x, low), high): what stands within the bounds, bounds included, has the gradient; else the bound that was taken. */
  Clip: (node, g, t) => {
    const [x = '', low = '', high = ''] = node.input;
    const below = low === '' ? undefined : t.op('Less', [x, low]);
    const raised = low === '' ? x : t.op('Max', [x, low]);
    const above = high === '' ? undefined : t.op('Greater', [raised, high]);
    const without = (part: string, outside: string | undefined) =>
      outside === undefined ? part : t.where(t.op('Not', [outside]), part);
    const inside = without(g, above);
    if (t.wants(x)) t.add(x, without(inside, below));
    // Bounds are scalars.
    const sum = (part: string) => t.op('ReduceSum', [part], { keepdims: 0 });
    if (below !== undefined && t.wants(low)) t.add(low, sum(t.where(below, inside)));
    if (above !== undefined && t.wants(high)) t.add(high, sum(t.where(above, g)));
  },
  Where: (node, g, t) => {
    const [condition, a, y] = names(node);
    const b = node.input[2] ?? '';
    if (t.wants(a)) t.addBroadcast(a, t.where(condition, g), y);
    if (t.wants(b)) t.addBroadcast(b, t.op('Where', [condition, t.scalar(0), g]), y);
  },
};

/** Derivative of x Phi(x): Phi(x) + x phi(x) (Hendrycks and Gimpel 2016). */
function geluSlope(t: GradientTape, x: string): string {
  const root = t.op('Mul', [x, t.scalar(Math.SQRT1_2)]);
  const phi = t.op('Mul', [t.op('Add', [t.op('Erf', [root]), t.scalar(1)]), t.scalar(0.5)]);
  const density = t.op('Mul', [bell(t, x, 0.5), t.scalar(1 / Math.sqrt(2 * Math.PI))]);
  return t.op('Add', [phi, t.op('Mul', [x, density])]);
}

/** Derivative of x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), the approximation of the same paper. */
function tanhGeluSlope(t: GradientTape, x: string): string {
  const scale = Math.sqrt(2 / Math.PI);
  const square = t.op('Mul', [x, x]);
  const cubic = t.op('Add', [t.scalar(scale), t.op('Mul', [square, t.scalar(scale * 0.044715)])]);
  const tanh = t.op('Tanh', [t.op('Mul', [x, cubic])]);
  const inner = t.op('Add', [t.scalar(scale), t.op('Mul', [square, t.scalar(3 * scale * 0.044715)])]);
  const bend = t.op('Sub', [t.scalar(1), t.op('Mul', [tanh, tanh])]);
  const bent = t.op('Mul', [t.op('Mul', [x, bend]), inner]);
  return t.op('Mul', [t.op('Add', [t.op('Add', [tanh, t.scalar(1)]), bent]), t.scalar(0.5)]);
}

/** exp(-factor x^2). */
function bell(t: GradientTape, x: string, factor: number): string {
  return t.op('Exp', [t.op('Mul', [t.op('Mul', [x, x]), t.scalar(-factor)])]);
}
