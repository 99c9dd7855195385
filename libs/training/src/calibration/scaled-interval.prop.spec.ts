import { createRandom, type Random } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { residualInterval } from '../conformal.js';
import { meanWidth, scaledInterval, type RegionResiduals } from './scaled-interval.js';

const REGIONS = 4;
const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

function draw(random: Random, n: number, deviations: readonly number[]): RegionResiduals {
  const regions = Array.from({ length: n }, () => random.below(REGIONS));
  return {
    regions,
    regionCount: REGIONS,
    residuals: regions.map((region) => deviations[region]! * random.normal()),
  };
}

/** Mean coverage and width of both intervals over 200 draws of rows, and coverage of the hardest region. */
function simulate(deviations: readonly number[], n: number) {
  const random = createRandom(7);
  const figures = { plain: [0, 0, 0], scaled: [0, 0, 0] };
  const rounds = 200;
  for (let round = 0; round < rounds; round++) {
    const rows = draw(random, n, deviations);
    const fresh = draw(random, 400, deviations);
    const both = { plain: residualInterval(rows.residuals, 0.9), scaled: scaledInterval(rows, 0.9, round) };
    for (const name of ['plain', 'scaled'] as const) {
      const { lower, upper, scales } = { scales: undefined, ...both[name] };
      const held = Array.from(fresh.residuals, (residual, at) => {
        const scale = scales?.[fresh.regions[at]!] ?? 1;
        return residual >= scale * lower && residual <= scale * upper ? 1 : 0;
      });
      figures[name][0]! += mean(held) / rounds;
      figures[name][1]! += meanWidth(both[name], fresh.regions) / rounds;
      figures[name][2]! += mean(held.filter((_, at) => fresh.regions[at] === REGIONS - 1)) / rounds;
    }
  }
  return figures;
}

describe('the interval scaled by region', () => {
  it('covers as promised and is narrower where regions differ; hard regions are covered too', () => {
    const { plain, scaled } = simulate([0.1, 0.1, 0.2, 1], 600);
    expect(scaled[0]).toBeGreaterThan(0.89);
    expect(scaled[0]).toBeLessThan(0.92);
    expect(scaled[1]!).toBeLessThan(0.95 * plain[1]!);
    expect(plain[2]!).toBeLessThan(0.75);
    expect(scaled[2]!).toBeGreaterThan(0.85);
  });

  it('costs little where regions do not differ', () => {
    const { plain, scaled } = simulate([0.5, 0.5, 0.5, 0.5], 600);
    expect(scaled[0]).toBeGreaterThan(0.89);
    expect(scaled[1]!).toBeLessThan(1.05 * plain[1]!);
  });

  it('scales by the mean absolute residual, drawn towards 1 where rows are few', () => {
    const rows = { residuals: [] as number[], regions: [] as number[], regionCount: 3 };
    for (let at = 0; at < 400; at++) {
      rows.regions.push(at % 2);
      rows.residuals.push(at % 2 === 0 ? 1 : -3);
    }
    const { scales } = scaledInterval(rows, 0.9, 1);
    expect(scales[0]).toBeGreaterThan(0.5);
    expect(scales[0]).toBeLessThan(0.6);
    expect(scales[1]).toBeGreaterThan(1.4);
    expect(scales[2]).toBe(1);
    expect(scaledInterval(rows, 0.9, 1)).toEqual(scaledInterval(rows, 0.9, 1));
    const exact = { residuals: new Array<number>(80).fill(0), regions: new Array<number>(80).fill(0) };
    expect(scaledInterval({ ...exact, regionCount: 1 }, 0.9, 1)).toEqual({ scales: [1], lower: 0, upper: 0 });
  });

  it('refuses too few rows, residuals that are none, and regions that are none', () => {
    const rows = (residual: number, region: number, n: number) => ({
      residuals: new Array<number>(n).fill(residual),
      regions: new Array<number>(n).fill(region),
      regionCount: 2,
    });
    expect(() => scaledInterval(rows(1, 0, 20), 0.9, 1)).toThrow(/at least 19/);
    expect(() => scaledInterval(rows(NaN, 0, 80), 0.9, 1)).toThrow(/Residual 0/);
    expect(() => scaledInterval(rows(1, 2, 80), 0.9, 1)).toThrow(/not one of 2/);
  });
});
