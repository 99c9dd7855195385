import { describe, expect, it } from 'vitest';
import { evaluate, type Instance } from './central-differences.js';

const vector = (length: number, write: Instance['write']): Instance => ({ shapes: [[length]], write });

/** Gradients at corners, where differences from both sides do not agree: what the rules promise there. */
describe('gradients at corners', () => {
  it('Relu and Abs have none at zero', async () => {
    for (const operator of ['Relu', 'Abs']) {
      const { gradients } = await evaluate(
        vector(2, (w, x) => w.op(operator, x)),
        [[0, 2]],
      );
      expect(gradients, operator).toEqual([[0, 1]]);
    }
  });

  it('Max and Min give all of it to the first of equal inputs', async () => {
    for (const operator of ['Max', 'Min']) {
      const both = { shapes: [[2], [2]], write: (w, x) => w.op(operator, x) } satisfies Instance;
      const { gradients } = await evaluate(both, [
        [1, 1],
        [1, 1],
      ]);
      expect(gradients, operator).toEqual([
        [1, 1],
        [0, 0],
      ]);
    }
  });

  it('ReduceMax and ReduceMin share it among equal elements', async () => {
    for (const operator of ['ReduceMax', 'ReduceMin']) {
      const { gradients } = await evaluate(
        vector(2, (w, x) => w.op(operator, x)),
        [[3, 3]],
      );
      expect(gradients, operator).toEqual([[0.5, 0.5]]);
    }
  });

  it('Clip passes it at its bounds and gives it to the bound beyond them', async () => {
    const clip = { shapes: [[4], [], []], write: (w, x) => w.op('Clip', x) } satisfies Instance;
    const { gradients } = await evaluate(clip, [[-2, -1, 1, 2], [-1], [1]]);
    expect(gradients).toEqual([[0, 1, 1, 0], [1], [1]]);
  });

  it('the norm of zeros has none', async () => {
    const { gradients } = await evaluate(
      vector(3, (w, x) => w.op('ReduceL2', x)),
      [[0, 0, 0]],
    );
    expect(gradients).toEqual([[0, 0, 0]]);
  });

  it('a power of zero has the slope of its exponent', async () => {
    for (const [exponent, slope] of [
      [0, 0],
      [1, 1],
      [2, 0],
    ] as const) {
      const power = vector(1, (w, [x = '']) => w.op('Pow', [x, w.numbers([], [exponent])]));
      expect((await evaluate(power, [[0]])).gradients, `exponent ${exponent}`).toEqual([[slope]]);
    }
  });
});
