import { describe, expect, it } from 'vitest';
import { predictLosses, prototypeDistances, regionIds } from './predict-losses.js';

const f32 = (...values: number[]) => Float32Array.from(values);

describe('predictLosses', () => {
  it('is W e + b for linear heads, a row for each prompt', () => {
    const heads = {
      kind: 'linear',
      dimension: 2,
      weights: f32(1, 0, 0, 1, -1, 2),
      bias: f32(0.5, 0, 3),
    } as const;
    expect([...predictLosses(heads, f32(0.6, 0.8, 1, 0))].map((loss) => Number(loss.toFixed(5)))).toEqual([
      1.1, 0.8, 4, 1.5, 0, 2,
    ]);
  });

  it('passes through the rectifier for mlp heads', () => {
    const heads = {
      kind: 'mlp',
      dimension: 2,
      hiddenWeights: f32(1, 1, -1, -1),
      hiddenBias: f32(0, 0.5),
      weights: f32(2, 10),
      bias: f32(1),
    } as const;
    expect([...predictLosses(heads, f32(1, 1, -1, 0))]).toEqual([5, 16]);
  });

  it('refuses heads of another width', () => {
    const heads = { kind: 'linear', dimension: 3, weights: f32(1, 2), bias: f32(0) } as const;
    expect(() => predictLosses(heads, f32(1, 2, 3))).toThrow(/do not fit/);
    expect(() => predictLosses({ ...heads, weights: f32(1, 2, 3) }, f32(1, 2))).toThrow(
      /embeddings do not fit/,
    );
  });
});

describe('prototypeDistances and regionIds', () => {
  const rows = f32(1, 0, 0, 1);
  it('takes the nearest row by cosine', () => {
    const prompts = f32(1, 0, 0.6, 0.8, -1, 0);
    expect([...prototypeDistances(prompts, rows, 2)].map((value) => Number(value.toFixed(5)))).toEqual([
      0, 0.2, 1,
    ]);
    expect([...regionIds(prompts, rows, 2)]).toEqual([0, 1, 1]);
  });

  it('refuses an empty set of prototypes', () => {
    expect(() => prototypeDistances(f32(1, 0), f32(), 2)).toThrow(/do not fit/);
  });
});

describe('gated heads', () => {
  it('are W [softmax(G e + c), e] + b: with equal gate logits the gate says 1/2 each', () => {
    const heads = {
      kind: 'gated',
      dimension: 2,
      gateWeights: f32(1, 1, 1, 1),
      gateBias: f32(0, 0),
      // Row 0 reads the first gate and the first number; row 1 the second gate and the second number, twice.
      weights: f32(1, 0, 1, 0, 0, 2, 0, 2),
      bias: f32(0.25, -1),
    } as const;
    const losses = [...predictLosses(heads, f32(0.6, 0.8))].map((loss) => Number(loss.toFixed(5)));
    expect(losses).toEqual([0.25 + 0.5 + 0.6, 1.6]);
  });

  it('follow the gate: logits ln 3 and 0 give 3/4 and 1/4', () => {
    const heads = {
      kind: 'gated',
      dimension: 1,
      gateWeights: f32(0, 0),
      gateBias: f32(Math.log(3), 0),
      weights: f32(4, 8, 0),
      bias: f32(0),
    } as const;
    expect(predictLosses(heads, f32(1))[0]).toBeCloseTo(5, 5);
  });

  it('refuses gates of another width', () => {
    const heads = {
      kind: 'gated',
      dimension: 1,
      gateWeights: f32(0),
      gateBias: f32(0, 0),
      weights: f32(4, 8, 0),
      bias: f32(0),
    } as const;
    expect(() => predictLosses(heads, f32(1))).toThrow('the gate weights');
  });
});
