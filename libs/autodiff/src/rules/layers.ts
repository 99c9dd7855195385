import { ThalamusError } from '@thalamus/errors';
import type { GradientTape } from '../gradient-tape.js';
import { wrap } from '../infer-shapes.js';
import { floatAttribute, intAttribute } from '../node-facts.js';
import type { GradientRule } from './elementwise.js';

/** Sum over an axis, kept as one. */
const sumOver = (t: GradientTape, value: string, axes: readonly number[]) =>
  t.op('ReduceSum', [value, t.ints(...axes)], { keepdims: 1 });

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
  /** alpha A' B' + beta C with A' and B' as they are or transposed. */
  Gemm: (node, gradient, t) => {
    const [a = '', b = '', c = ''] = node.input;
    const transA = intAttribute(node, 'transA', 0);
    const transB = intAttribute(node, 'transB', 0);
    const alpha = { alpha: { float: floatAttribute(node, 'alpha', 1) } };
    const beta = floatAttribute(node, 'beta', 1);
    const product = (left: string, right: string, flipLeft: number, flipRight: number) =>
      t.op('Gemm', [left, right], { ...alpha, transA: flipLeft, transB: flipRight });
    if (t.wants(a)) t.add(a, transA ? product(b, gradient, transB, 1) : product(gradient, b, 0, 1 - transB));
    if (t.wants(b)) t.add(b, transB ? product(gradient, a, 1, transA) : product(a, gradient, 1 - transA, 0));
    if (c !== '' && t.wants(c))
      t.addBroadcast(
        c,
        beta === 1 ? gradient : t.op('Mul', [gradient, t.scalar(beta)]),
        node.output[0] ?? '',
      );
  },
  /** y (g - sum g y), over the axis. */
  Softmax: (node, gradient, t) => {
    const [x = '', y = ''] = [node.input[0], node.output[0]];
    const dot = sumOver(t, t.op('Mul', [gradient, y]), [intAttribute(node, 'axis', -1)]);
    t.add(x, t.op('Mul', [y, t.op('Sub', [gradient, dot])]));
  },
  /** g - exp(y) sum g, over the axis. */
  LogSoftmax: (node, gradient, t) => {
    const [x = '', y = ''] = [node.input[0], node.output[0]];
    const sum = sumOver(t, gradient, [intAttribute(node, 'axis', -1)]);
    t.add(x, t.op('Sub', [gradient, t.op('Mul', [t.op('Exp', [y]), sum])]));
  },
  /**
   * Ba et al. 2016, equation 3, differentiated: the mean and the part along the normalised input are taken out. Over the
   * dimensions from the axis on.
   */
  LayerNormalization: (node, gradient, t) => {
    const [x = '', gain = '', shift = ''] = node.input;
    const rank = t.rank(x, node);
    const first = wrap(intAttribute(node, 'axis', -1), rank);
    const axes = t.ints(...Array.from({ length: rank - first }, (_, at) => at - rank + first));
    const mean = (value: string) => t.op('ReduceMean', [value, axes], { keepdims: 1 });
    const centred = t.op('Sub', [x, mean(x)]);
    const variance = mean(t.op('Mul', [centred, centred]));
    const epsilon = floatAttribute(node, 'epsilon', Math.fround(1e-5));
    const deviation = t.op('Sqrt', [t.op('Add', [variance, t.scalar(epsilon)])]);
    const normal = t.op('Div', [centred, deviation]);
    if (t.wants(gain)) t.addBroadcast(gain, t.op('Mul', [gradient, normal]), x);
    if (shift !== '') t.addBroadcast(shift, gradient, x);
    if (!t.wants(x)) return;
    const scaled = t.op('Mul', [gradient, gain]);
    const along = t.op('Mul', [normal, mean(t.op('Mul', [scaled, normal]))]);
    const rest = t.op('Sub', [t.op('Sub', [scaled, mean(scaled)]), along]);
    t.add(x, t.op('Div', [rest, deviation]));
  },
};

/** Rows and columns exchanged in every matrix. */
function flipped(t: GradientTape, value: string, rank: number): string {
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
  return t.op('Transpose', [value], { perm });
}
