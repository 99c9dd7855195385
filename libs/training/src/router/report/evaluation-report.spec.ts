import { encodeRouterEvaluation, parseRouterEvaluation, type RouterManifest } from '@thalamus/bundle';
import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { columnMeans, lossMatrix } from '../loss-matrix.js';
import { evaluationReport } from './evaluation-report.js';

const ROWS = 200;
const random = createRandom(11);
const rows = Array.from({ length: ROWS }, (_, at) => ({
  id: String(at),
  task: at % 2 === 0 ? 'sums' : 'capitals',
  prompt: `prompt number ${at}`,
  losses: Float64Array.of(random.next() < (at % 2 === 0 ? 0.1 : 0.7) ? 1 : 0, random.next() < 0.3 ? 1 : 0),
}));
/** Knows the chance of an error for the first expert by its task, and of the second. */
const predicted = Float64Array.from(rows.flatMap((_, at) => [at % 2 === 0 ? 0.1 : 0.7, 0.3]));

function manifestOf(lossUnit: 'error' | 'nats', prices?: readonly [number, number]): RouterManifest {
  return {
    name: 'made',
    version: '3',
    lossUnit,
    candidates: ['adder', 'atlas'].map((expert, k) => ({
      expert,
      version: '1',
      ...(prices ? { properties: { cost: prices[k]! } } : {}),
      fittedOn: { lossTable: `sha256:${'0'.repeat(64)}`, rows: 10 },
    })),
    costScales: { cost: { unit: 'usdPerMillionTokens', transform: 'linear', min: 0, max: 10 } },
    calibration: {
      coverage: 0.9,
      intervals: ['adder', 'atlas'].map((expert) => ({ expert, lower: -0.7, upper: 0.95 })),
    },
    baselines: { bestSingle: 'atlas', majority: 'adder' },
    // What a report does not read is left out.
  } as unknown as RouterManifest;
}

const reportOf = (manifest: RouterManifest) =>
  evaluationReport({
    trial: { manifest, rows, predicted, seed: 3 },
    facts: { dataset: 'made', split: 'test', fitted: false, date: '2026-11-29', notes: ['a note'] },
    mapped: rows.map((_, at) => at),
    spaces: [{ space: 'encoder', vectors: Float32Array.from(rows, () => random.normal()), dimension: 1 }],
  });

describe('evaluationReport', () => {
  const report = reportOf(manifestOf('error', [1, 8]));
  const means = columnMeans(lossMatrix(rows, 2), 2);

  it('says what the choices lost, and what others would have', () => {
    const routed = rows.reduce((sum, { losses }, at) => sum + losses[at % 2]!, 0) / ROWS;
    const least = rows.reduce((sum, { losses }) => sum + Math.min(...losses), 0) / ROWS;
    expect(report.figures.loss.value).toBeCloseTo(routed, 6);
    expect(report.figures.regret.value).toBeCloseTo(routed - least, 6);
    const [low, high] = report.figures.loss.interval!;
    expect(low).toBeLessThan(routed);
    expect(high).toBeGreaterThan(routed);
    const baseline = Object.fromEntries(report.baselines.map((own) => [own.name, own]));
    expect(report.baselines[0]?.name).toBe('oracle');
    expect(baseline['oracle']?.regret).toBe(0);
    expect(baseline['bestSingle']).toMatchObject({ expert: 'atlas', cost: 8 });
    expect(baseline['bestSingle']?.loss).toBeCloseTo(means[1]!, 6);
    expect(baseline['bestSingle']?.regret).toBeCloseTo(means[1]! - least, 6);
    const [behind] = baseline['bestSingle']!.behind!;
    expect(behind).toBeLessThan(means[1]! - routed);
    expect(report.figures.cost).toBeCloseTo((1 + 8) / 2, 6);
  });

  it('draws cost against loss from the router without a weight to the cheap expert alone', () => {
    expect(report.pareto?.axis).toBe('usdPerMillionTokens');
    expect(report.pareto?.points[0]).toMatchObject({ weight: 0, loss: report.figures.loss.value });
    expect(report.pareto?.points.at(-1)?.cost).toBe(1);
    expect(report.pareto?.points.at(-1)?.loss).toBeCloseTo(means[0]!, 6);
    expect(report.pareto?.experts[1]).toMatchObject({ expert: 'atlas', cost: 8 });
  });

  it('has no such curve where prices are alike, and shares of the better one where two have none', () => {
    expect(reportOf(manifestOf('error', [2, 2])).pareto).toBeNull();
    const shares = reportOf(manifestOf('error')).pareto;
    expect(shares?.axis).toBe('strongShare');
    expect(shares?.points[0]?.cost).toBe(0);
    expect(shares?.points.at(-1)?.loss).toBeCloseTo(means[1]!, 6);
  });

  it('measures reliability of all predictions and of those for the chosen', () => {
    const [all, chosen] = report.reliability;
    expect(all?.bins.map(({ predicted: said }) => said)).toEqual([0.1, 0.3, 0.7]);
    expect(all?.bins.map(({ n }) => n)).toEqual([100, 200, 100]);
    const capitals = rows.filter((_, at) => at % 2 === 1).map(({ losses }) => losses[0]!);
    expect(all?.bins[2]?.measured).toBeCloseTo(capitals.reduce((a, b) => a + b, 0) / 100, 6);
    expect(chosen?.bins.map(({ n }) => n)).toEqual([100, 100]);
    expect(all!.calibrationError).toBeLessThan(0.05);
  });

  it('shows what the heads said before recalibration, where there is one', () => {
    const manifest = manifestOf('error', [1, 8]);
    const recalibration = ['adder', 'atlas'].map((expert) => ({ expert, kind: 'beta' }));
    const recalibrated = { ...manifest, calibration: { ...manifest.calibration, recalibration } };
    const made = evaluationReport({
      trial: {
        manifest: recalibrated as unknown as RouterManifest,
        rows,
        predicted,
        raw: predicted.map((loss) => loss / 2),
        seed: 3,
      },
      facts: { dataset: 'made', split: 'test', fitted: false, date: '2026-11-29', notes: [] },
      mapped: [0, 1, 2],
      spaces: [],
    });
    const before = made.reliability.find(({ of }) => of === 'uncalibrated');
    expect(before?.bins.map(({ predicted: said }) => said)).toEqual([0.05, 0.15, 0.35]);
    expect(before!.calibrationError).toBeGreaterThan(made.reliability[0]!.calibrationError);
  });

  it('counts who is chosen and who would be best', () => {
    expect(report.choices.map(({ chosen }) => chosen)).toEqual([0.5, 0.5]);
    const adderIsBest = rows.filter(({ losses }) => losses[0]! <= losses[1]!).length / ROWS;
    expect(report.choices[0]?.best).toBeCloseTo(adderIsBest, 6);
  });

  it('is a file that can be read again, without a text in it, in nats as well', () => {
    const nats = reportOf(manifestOf('nats', [1, 8]));
    for (const own of [report, nats]) {
      const bytes = encodeRouterEvaluation(own);
      expect(parseRouterEvaluation(bytes)).toEqual(own);
      expect(new TextDecoder().decode(bytes)).not.toContain('prompt number');
    }
    expect(nats.figures.brier).toBeNull();
    expect(nats.figures.loss.value).toBeCloseTo(report.figures.loss.value, 6);
  });
});
