import { ThalamusError } from '@thalamus/errors';
import type { GradientTape } from '../gradient-tape.js';
import { intAttribute, type GraphNode } from '../node-facts.js';
import type { GradientRule } from './elementwise.js';

const last = (tape: GradientTape) => tape.ints(-1);
const sumLast = (tape: GradientTape, value: string) =>
  tape.op('ReduceSum', [value, last(tape)], { keepdims: 1 });
const meanLast = (tape: GradientTape, value: string) =>
  tape.op('ReduceMean', [value, last(tape)], { keepdims: 1 });

/** Rules of matrix products, softmax and layer normalisation. */
export const LAYER_RULES: Readonly<Record<string, GradientRule>> = {
  /** A B: gradient B^T and A^T gradient; a matrix shared by a batch sums over it in one product of flattened rows. */
  MatMul: (node, gradient, t) => {
    const [a = '', b = '', y = ''] = [...node.input, ...node.output];
    const [rankA, rankB] = [t.rank(a, node), t.rank(b, node)];
    if (rankA < 2 || rankB < 2)
      throw new ThalamusError(
        'GRAPH_INVALID',
        `Node ${node.name} (MatMul) multiplies a vector; use matrices.`,
      );
    // Either side may have been repeated along the batch dimensions of the product.
    const batch = t.known(y)?.slice(0, -2);
    const shapeOf = (value: string) => batch && [...batch, ...(t.known(value)?.slice(-2) ?? [])];
    if (t.wants(a)) t.addSummed(a, t.op('MatMul', [gradient, flipped(t, b, rankB)]), shapeOf(a));
    if (!t.wants(b)) return;
    if (rankB === 2 && rankA > 2) {
      const rows = (value: string, matrix: string, axis: number) =>
        t.op('Reshape', [
          value,
          t.op('Concat', [t.ints(-1), t.op('Gather', [t.shape(matrix), t.ints(axis)])], { axis: 0 }),
        ]);
      t.add(b, t.op('MatMul', [flipped(t, rows(a, b, 0), 2), rows(gradient, b, 1)]));
    } else t.addSummed(b, t.op('MatMul', [flipped(t, a, rankA), gradient]), shapeOf(b));
  },
  /** y (g - sum g y), over the last axis. */
  Softmax: (node, gradient, t) => {
    requireLastAxis(node, t);
    const [x = '', y = ''] = [node.input[0], node.output[0]];
    const dot = sumLast(t, t.op('Mul', [gradient, y]));
    t.add(x, t.op('Mul', [y, t.op('Sub', [gradient, dot])]));
  },
  /** g - exp(y) sum g, over the last axis. */
  LogSoftmax: (node, gradient, t) => {
    requireLastAxis(node, t);
    const [x = '', y = ''] = [node.input[0], node.output[0]];
    t.add(x, t.op('Sub', [gradient, t.op('Mul', [t.op('Exp', [y]), sumLast(t, gradient)])]));
  },
  /** Ba et al. 2016, equation 3, differentiated: the mean and the part along the normalised input are taken out. */
  LayerNormalization: (node, gradient, t) => {
    requireLastAxis(node, t);
    const [x = '', gain = '', shift = ''] = node.input;
    const epsilon = node.attribute.find(({ name }) => name === 'epsilon')?.f ?? 1e-5;
    const centred = t.op('Sub', [x, meanLast(t, x)]);
    const variance = meanLast(t, t.op('Mul', [centred, centred]));
    const deviation = t.op('Sqrt', [t.op('Add', [variance, t.scalar(epsilon)])]);
    const normal = t.op('Div', [centred, deviation]);
    if (t.wants(gain)) t.addBroadcast(gain, t.op('Mul', [gradient, normal]), x);
    if (shift !== '') t.addBroadcast(shift, gradient, x);
    if (!t.wants(x)) return;
    const scaled = t.op('Mul', [gradient, gain]);
    const along = t.op('Mul', [normal, meanLast(t, t.op('Mul', [scaled, normal]))]);
    const rest = t.op('Sub', [t.op('Sub', [scaled, meanLast(t, scaled)]), along]);
    t.add(x, t.op('Div', [rest, deviation]));
  },
};

/** Rows and columns exchanged in every matrix. */
function flipped(t: GradientTape, value: string, rank: number): string {
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
  return t.op('Transpose', [value], { perm });
}

function requireLastAxis(node: GraphNode, t: GradientTape): void {
  const axis = intAttribute(node, 'axis', -1);
  if (axis === -1 || axis === t.rank(node.input[0] ?? '', node) - 1) return;
  throw new ThalamusError(
    'GRAPH_INVALID',
    `Node ${node.name} (${node.opType}) is differentiated along its last axis only, not ${axis}.`,
  );
}
