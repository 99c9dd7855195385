import fc from 'fast-check';
import type { Instance } from '../central-differences.js';
import { axisOf, broadcastable, shapeOf, type Case } from './arbitraries.js';

const sizes = fc.tuple(...([1, 1, 1] as const).map((min) => fc.integer({ min, max: 3 })));

/** Rules of products, softmax and normalisation. */
export const LAYER_CASES: readonly Case[] = [
  {
    name: 'MatMul, batches broadcasting',
    instances: fc.tuple(broadcastable(2), sizes).map(([[left = [], right = []], [m, k, n]]) => ({
      shapes: [
        [...left, m!, k!],
        [...right, k!, n!],
      ],
      write: (w, x) => w.op('MatMul', x),
    })),
  },
  {
    name: 'Gemm, either side transposed, bias broadcasting or absent',
    instances: fc
      .tuple(
        sizes,
        fc.constantFrom(0, 1),
        fc.constantFrom(0, 1),
        fc.constantFrom(1, 0.5, -2),
        fc.constantFrom(1, 0.25, -3),
        fc.constantFrom('none', 'scalar', 'one', 'row', 'column', 'whole'),
      )
      .map(([[m = 1, k = 1, n = 1], transA, transB, alpha, beta, bias]): Instance => {
        const shapes = { scalar: [], one: [1], row: [n], column: [m, 1], whole: [m, n] };
        return {
          shapes: [
            transA ? [k, m] : [m, k],
            transB ? [n, k] : [k, n],
            ...(bias === 'none' ? [] : [shapes[bias]]),
          ],
          write: (w, x) =>
            w.op('Gemm', x, { transA, transB, alpha: { float: alpha }, beta: { float: beta } }),
        };
      }),
  },
  ...['Softmax', 'LogSoftmax'].map((operator) => ({
    name: `${operator} on any axis`,
    instances: shapeOf(1, 3)
      .chain((shape) => fc.tuple(fc.constant(shape), fc.option(axisOf(shape.length), { nil: undefined })))
      .map(([shape, axis]): Instance => ({
        shapes: [shape],
        write: (w, x) => w.op(operator, x, axis === undefined ? {} : { axis }),
      })),
  })),
  {
    name: 'LayerNormalization from any axis, with and without shift',
    instances: shapeOf(1, 3)
      .chain((shape) => fc.tuple(fc.constant([...shape, 3]), axisOf(shape.length + 1), fc.boolean()))
      .map(([shape, axis, hasShift]): Instance => {
        const normalised = shape.slice(axis < 0 ? axis + shape.length : axis);
        return {
          shapes: [shape, normalised, ...(hasShift ? [normalised] : [])],
          // As large as the values, so that the derivatives of a row of nearly equal ones stay small.
          write: (w, x) => w.op('LayerNormalization', x, { axis, epsilon: { float: 0.5 } }),
        };
      }),
  },
];
