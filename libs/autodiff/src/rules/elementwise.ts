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
  Relu: unary((t, g, x) => t.op('Where', [t.op('Greater', [x, t.scalar(0)]), g, t.scalar(0)])),
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
  // Of equal inputs the first one counts.
  Max: (node, g, t) => {
    const [y = ''] = node.output;
    let taken: string | undefined;
    for (const input of node.input) {
      const isEqual = t.op('Equal', [input, y]);
      const isFirst = taken === undefined ? isEqual : t.op('And', [isEqual, t.op('Not', [taken])]);
      if (t.wants(input)) t.addBroadcast(input, t.op('Where', [isFirst, g, t.scalar(0)]), y);
      taken = taken === undefined ? isEqual : t.op('Or', [taken, isEqual]);
    }
  },
  Where: (node, g, t) => {
    const [condition, a, y] = names(node);
    const b = node.input[2] ?? '';
    if (t.wants(a)) t.addBroadcast(a, t.op('Where', [condition, g, t.scalar(0)]), y);
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
