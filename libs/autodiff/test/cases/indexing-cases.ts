import fc from 'fast-check';
import type { Instance } from '../central-differences.js';
import { axesOf, axisOf, indices, product, shapeOf, type Case } from './arbitraries.js';

const withAxis = shapeOf(1, 3).chain((shape) => fc.tuple(fc.constant(shape), axisOf(shape.length)));

/** Different rows of a matrix, in any order. */
const someRows = (rows: number) =>
  fc.shuffledSubarray([...Array(rows).keys()], { minLength: 1, maxLength: rows });

/** Rules of operators that pick elements, or put some in place of others. */
export const INDEXING_CASES: readonly Case[] = [
  {
    name: 'Gather along any axis, repeated and counted from the end',
    instances: fc
      .tuple(withAxis, shapeOf(0, 2))
      .chain(([[shape, axis], form]) =>
        fc.tuple(fc.constant({ shape, axis, form }), indices(product(form), shape.at(axis)!)),
      )
      .map(([{ shape, axis, form }, rows]): Instance => ({
        shapes: [shape],
        write: (w, [x = '']) => w.op('Gather', [w.op('Mul', [x, x]), w.whole(form, rows)], { axis }),
      })),
  },
  {
    name: 'GatherElements along any axis, repeated',
    instances: fc
      .tuple(withAxis, fc.integer({ min: 1, max: 4 }))
      .chain(([[shape, axis], count]) => {
        const form = shape.with(axis, count);
        return fc.tuple(fc.constant({ shape, axis, form }), indices(product(form), shape.at(axis)!));
      })
      .map(([{ shape, axis, form }, places]): Instance => ({
        shapes: [shape],
        write: (w, [x = '']) => w.op('GatherElements', [x, w.whole(form, places)], { axis }),
      })),
  },
  {
    name: 'GatherND of any depth, with and without batch dimensions, repeated',
    instances: fc
      .tuple(
        shapeOf(1, 3),
        fc.nat({ max: 1 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
      )
      .chain(([tail, batchDims, wantedDepth, count]) => {
        const shape = [...(batchDims ? [2] : []), ...tail];
        const depth = Math.min(wantedDepth, tail.length);
        const form = [...(batchDims ? [2] : []), count, depth];
        const columns = fc.tuple(...tail.slice(0, depth).map((size) => indices(product(form) / depth, size)));
        return fc.tuple(fc.constant({ shape, batchDims, form }), columns);
      })
      .map(([{ shape, batchDims, form }, columns]): Instance => ({
        shapes: [shape],
        write: (w, [x = '']) => {
          const places = columns[0]!.flatMap((_, at) => columns.map((column) => column[at]!));
          return w.op('GatherND', [x, w.whole(form, places)], { batch_dims: batchDims });
        },
      })),
  },
  {
    name: 'ScatterND, taking the place and added',
    instances: fc
      .tuple(shapeOf(1, 3), fc.constantFrom('none', 'add'))
      .chain(([shape, reduction]) => fc.tuple(fc.constant({ shape, reduction }), someRows(shape[0]!)))
      .map(([{ shape, reduction }, rows]): Instance => ({
        shapes: [shape, [rows.length, ...shape.slice(1)]],
        write: (w, [x = '', updates = '']) =>
          w.op('ScatterND', [x, w.whole([rows.length, 1], rows), updates], { reduction }),
      })),
  },
  {
    name: 'ScatterElements along any axis, taking the place and added',
    instances: fc
      .tuple(withAxis, fc.constantFrom('none', 'add'))
      .chain(([[shape, axis], reduction]) =>
        fc.tuple(fc.constant({ shape, axis, reduction }), someRows(shape.at(axis)!)),
      )
      .map(([{ shape, axis, reduction }, rows]): Instance => {
        const form = shape.with(axis, rows.length);
        const inner = product(form.slice(axis < 0 ? axis + shape.length : axis)) / rows.length;
        return {
          shapes: [shape, form],
          write: (w, [x = '', updates = '']) => {
            const places = Array.from(
              { length: product(form) },
              (_, at) => rows[Math.floor(at / inner) % rows.length]!,
            );
            return w.op('ScatterElements', [x, w.whole(form, places), updates], { axis, reduction });
          },
        };
      }),
  },
  {
    name: 'Slice along any axes, by any steps, beyond the ends',
    instances: fc
      .tuple(shapeOf(1, 3), fc.constantFrom('none', 'forward', 'backward'), fc.boolean())
      .chain(([shape, steps, isNamed]) =>
        fc.tuple(
          fc.constant({ shape: shape.map((size) => size + 1), steps, isNamed }),
          axesOf(shape.length),
          fc.array(
            fc.tuple(fc.integer({ min: -6, max: 2 }), fc.integer({ min: 1, max: 6 }), fc.constantFrom(1, 2)),
            {
              minLength: 3,
              maxLength: 3,
            },
          ),
        ),
      )
      .map(([{ shape, steps, isNamed }, some, ranges]): Instance => {
        // Without names the axes are the first ones.
        const axes = isNamed ? some : some.map((_, at) => at);
        const own = ranges.slice(0, axes.length);
        const isBack = steps === 'backward';
        // Every range holds an element: from before the last one, forwards; or from the last one, backwards.
        const starts = own.map(([start], at) => {
          const size = shape.at(axes[at]!)!;
          return isBack ? -1 : Math.min(start, size - 1);
        });
        const ends = own.map(([, length], at) => {
          const size = shape.at(axes[at]!)!;
          if (isBack) return -1 - length;
          const from = Math.max(0, starts[at]! < 0 ? starts[at]! + size : starts[at]!);
          return from + length;
        });
        return {
          shapes: [shape],
          write: (w, [x = '']) => {
            const inputs = [x, w.ints(...starts), w.ints(...ends)];
            if (isNamed || steps !== 'none') inputs.push(isNamed ? w.ints(...axes) : '');
            if (steps !== 'none') inputs.push(w.ints(...own.map(([, , step]) => (isBack ? -step : step))));
            return w.op('Slice', inputs);
          },
        };
      }),
  },
];
