import fc from 'fast-check';
import type { Instance } from '../central-differences.js';
import { axesOf, axisOf, product, shapeOf, type Case } from './arbitraries.js';

const withAxes = (minLength = 1) =>
  shapeOf(1, 3).chain((shape) => fc.tuple(fc.constant(shape), axesOf(shape.length, minLength)));

const reductions = ['ReduceSum', 'ReduceMean', 'ReduceL2', 'ReduceMax', 'ReduceMin'].map(
  (operator): Case => ({
    name: `${operator} over any axes, all, and none`,
    instances: fc
      .tuple(withAxes(), fc.constantFrom(0, 1), fc.constantFrom('some', 'absent', 'noop'))
      .map(([[shape, axes], keepdims, kind]): Instance => ({
        shapes: [shape],
        domain: operator === 'ReduceL2' ? 'positive' : 'distinct',
        write: (w, [x = '']) =>
          w.op(operator, kind === 'some' ? [x, w.ints(...axes)] : [x], {
            keepdims: kind === 'noop' ? 1 : keepdims,
            noop_with_empty_axes: kind === 'noop' && operator !== 'ReduceL2' ? 1 : 0,
          }),
      })),
  }),
);

/** Rules of reductions and of operators that move, repeat or join elements. */
export const STRUCTURE_CASES: readonly Case[] = [
  ...reductions,
  {
    name: 'Reshape, Transpose by any permutation or none',
    instances: shapeOf(1, 3)
      .chain((shape) =>
        fc.tuple(
          fc.constant(shape),
          fc.option(fc.shuffledSubarray([...shape.keys()], { minLength: shape.length }), { nil: undefined }),
        ),
      )
      .map(([shape, perm]): Instance => ({
        shapes: [shape],
        write: (w, x) => w.op('Reshape', [w.op('Transpose', x, perm ? { perm } : {}), w.ints(1, -1)]),
      })),
  },
  {
    name: 'Flatten at any axis',
    instances: shapeOf(1, 3)
      .chain((shape) => fc.tuple(fc.constant(shape), axisOf(shape.length)))
      .map(([shape, axis]): Instance => ({
        shapes: [shape],
        write: (w, [x = '']) => w.op('Flatten', [w.op('Mul', [x, x])], { axis }),
      })),
  },
  {
    name: 'Unsqueeze, Squeeze with and without axes',
    instances: fc
      .tuple(shapeOf(0, 2), fc.boolean())
      .chain(([shape, isNamed]) =>
        fc.tuple(fc.constant(shape), fc.constant(isNamed), axesOf(shape.length + 1)),
      )
      .map(([shape, isNamed, [axis = 0]]): Instance => ({
        shapes: [shape],
        write: (w, [x = '']) => {
          const wide = w.op('Unsqueeze', [w.op('Mul', [x, x]), w.ints(axis)]);
          return w.op('Squeeze', isNamed ? [wide, w.ints(axis)] : [wide]);
        },
      })),
  },
  {
    name: 'Expand of what broadcasts, to more dimensions and by ones',
    instances: fc
      .tuple(
        shapeOf(0, 3),
        shapeOf(0, 2),
        fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
        fc.boolean(),
      )
      .map(([whole, leading, single, isComputed]): Instance => ({
        shapes: [whole.map((size, axis) => (single[axis]! ? 1 : size))],
        write: (w, [x = '']) => {
          const target = [...leading, ...whole];
          const shape = w.ints(...target);
          // A shape that is computed is not known before the graph runs.
          return w.op('Expand', [
            x,
            isComputed ? w.op('Add', [shape, w.ints(...target.map(() => 0))]) : shape,
          ]);
        },
      })),
  },
  {
    name: 'Concat along any axis, of one to three',
    instances: shapeOf(1, 3)
      .chain((shape) =>
        fc.tuple(
          fc.constant(shape),
          axisOf(shape.length),
          fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
        ),
      )
      .map(([shape, axis, parts]): Instance => ({
        shapes: parts.map((size) => shape.with(axis, size)),
        write: (w, x) => w.op('Concat', x, { axis }),
      })),
  },
  {
    name: 'Split along any axis, by sizes or by number, some parts unused',
    instances: shapeOf(1, 3)
      .chain((shape) =>
        fc.tuple(
          fc.constant(shape),
          axisOf(shape.length),
          fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 3 }),
          fc.boolean(),
          fc.nat({ max: 2 }),
        ),
      )
      .map(([shape, axis, given, isCounted, unused]): Instance => {
        const parts = isCounted ? given.map(() => given[0]!) : given;
        const whole = shape.with(
          axis,
          parts.reduce((all, size) => all + size, 0),
        );
        return {
          shapes: [whole],
          write: (w, [x = '']) => {
            const names = parts.map((_, at) => `part${at}`);
            const attributes = isCounted ? { axis, num_outputs: parts.length } : { axis };
            const inputs = isCounted ? [x] : [x, w.ints(...parts)];
            const made = w.builder.nodeWithOutputs('Split', inputs, names, { attributes });
            const flat = made
              .filter((_, at) => at !== unused)
              .map((part, at) => w.op('Reshape', [w.op('Mul', [part, w.numbers([], [at + 1])]), w.ints(-1)]));
            return w.op('Concat', flat, { axis: 0 });
          },
        };
      }),
  },
  {
    name: 'a batch of rows of unknown number',
    instances: shapeOf(2, 2).map((shape) => ({
      shapes: [shape],
      write: (w, [x = '']) => {
        const rows = w.op('Reshape', [x, w.ints(-1, product(shape.slice(1)))]);
        return w.op('ReduceMean', [w.op('Mul', [rows, rows]), w.ints(0)], { keepdims: 0 });
      },
    })),
  },
];
