import fc from 'fast-check';
import type { Instance } from '../central-differences.js';
import { broadcastable, shapeOf, type Case } from './arbitraries.js';

const unary = (operator: string, more: Partial<Instance> = {}): Case => ({
  name: operator,
  instances: shapeOf(0, 3).map((shape) => ({
    shapes: [shape],
    write: (w, x) => w.op(operator, x),
    ...more,
  })),
});

const broadcast = (operator: string, count: number, domain?: Instance['domain']): Case => ({
  name: `${operator} of ${count}, broadcasting`,
  instances: broadcastable(count).map((shapes) => ({
    shapes,
    write: (w, x) => w.op(operator, x),
    ...(domain ? { domain } : {}),
  })),
});

/** Rules of operators that act on each element. */
export const ELEMENTWISE_CASES: readonly Case[] = [
  ...['Identity', 'Neg', 'Exp', 'Tanh', 'Sigmoid'].map((name) => unary(name)),
  ...['Log', 'Sqrt'].map((name) => unary(name, { domain: 'positive' })),
  ...['Relu', 'Abs'].map((name) => unary(name, { domain: 'distinct' })),
  ...['Erf', 'Gelu'].map((name) => unary(name, { only: 'float32' })),
  unary('Gelu', {
    only: 'float32',
    write: (w, x) => w.op('Gelu', x, { approximate: 'tanh' }),
  }),
  {
    name: 'Gelu, tanh, where it differs most from the exact one',
    instances: shapeOf(1, 2).map((shape) => ({
      shapes: [shape],
      only: 'float32',
      write: (w, [x = '']) => {
        const near = w.op('Add', [w.op('Mul', [x, w.numbers([], [0.25])]), w.numbers([], [2.5])]);
        return w.op('Gelu', [near], { approximate: 'tanh' });
      },
    })),
  },
  ...['Add', 'Sub', 'Mul'].map((name) => broadcast(name, 2)),
  broadcast('Div', 2, 'positive'),
  broadcast('Pow', 2, 'positive'),
  ...['Max', 'Min'].flatMap((name) => [1, 2, 3].map((count) => broadcast(name, count, 'distinct'))),
  {
    name: 'Pow of any base by whole exponents, zero among them',
    instances: fc
      .tuple(shapeOf(0, 2), fc.integer({ min: -1, max: 4 }), fc.boolean())
      .map(([shape, exponent, isWhole]): Instance => ({
        shapes: [shape],
        // Below exponents of 0 the fifth derivative near a base of 0 is too large for differences.
        domain: exponent < 0 ? 'positive' : 'distinct',
        write: (w, [x = '']) =>
          w.op('Pow', [x, isWhole ? w.whole([], [exponent]) : w.numbers([], [exponent])]),
      })),
  },
  {
    name: 'Clip with either bound, both or none, trained',
    instances: fc
      .tuple(shapeOf(0, 3), fc.boolean(), fc.boolean())
      .map(([shape, hasLow, hasHigh]): Instance => ({
        shapes: [shape, ...(hasLow ? [[]] : []), ...(hasHigh ? [[]] : [])],
        domain: 'distinct',
        write: (w, [x = '', ...bounds]) =>
          w.op('Clip', [x, hasLow ? bounds.shift()! : '', ...(hasHigh ? bounds.splice(0, 1) : [])]),
      })),
  },
  {
    name: 'Where, broadcasting, condition too',
    instances: fc.tuple(broadcastable(3), fc.integer()).map(([[condition = [], ...shapes], bits]) => ({
      shapes,
      write: (w, x) => {
        const count = condition.reduce((all, size) => all * size, 1);
        const truths = Array.from({ length: count }, (_, at) => ((bits >> (at % 31)) & 1) === 1);
        return w.op('Where', [w.truths(condition, truths), ...x]);
      },
    })),
  },
  {
    name: 'Cast to its own type, and a mask made of the trained values themselves',
    instances: shapeOf(1, 2).map((shape) => ({
      shapes: [shape],
      domain: 'distinct',
      write: (w, [x = '']) => {
        const to = w.elementType === 'float32' ? 1 : 11;
        const isPositive = w.op('Not', [w.op('LessOrEqual', [x, w.numbers([], [0])])]);
        const square = w.op('Cast', [w.op('Mul', [x, x])], { to });
        return w.op('Mul', [w.op('Cast', [isPositive], { to }), square]);
      },
    })),
  },
  {
    name: 'a value that is used three times',
    instances: shapeOf(0, 2).map((shape) => ({
      shapes: [shape],
      write: (w, [x = '']) => w.op('Add', [w.op('Mul', [x, x]), w.op('Tanh', [x])]),
    })),
  },
];
