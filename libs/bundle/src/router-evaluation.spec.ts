import { describe, expect, it } from 'vitest';
import {
  encodeRouterEvaluation,
  MAX_EVALUATION_BYTES,
  parseRouterEvaluation,
  type RouterEvaluationReport,
} from './router-evaluation.js';

const report: RouterEvaluationReport = {
  schemaVersion: 1,
  router: 'made',
  version: '1',
  lossUnit: 'error',
  dataset: 'made',
  split: 'test',
  n: 2,
  fitted: false,
  date: '2026-11-29',
  experts: ['a', 'b'],
  figures: {
    loss: { value: 0.2, interval: [0.1, 0.3] },
    regret: { value: 0.1, interval: null },
    top1: { value: 0.9, interval: null },
    coverage: 0.91,
    targetCoverage: 0.9,
    brier: null,
    cost: null,
  },
  baselines: [{ name: 'oracle', expert: null, loss: 0.1, regret: 0, behind: null, cost: null }],
  choices: [{ expert: 'a', chosen: 1, best: 0.5 }],
  reliability: [
    { of: 'all', calibrationError: 0, bins: [{ n: 2, predicted: 0.2, measured: 0.2, error: null }] },
  ],
  pareto: null,
  map: {
    neighbours: 1,
    chance: { label: 0.5, best: null },
    labels: ['x'],
    label: [0, 0],
    chosen: [0, 1],
    spaces: [{ space: 'losses', purity: { label: 1, best: 0.5 }, x: [0, 1000], y: [5, 6] }],
  },
  notes: [],
};
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const { map } = report;

describe('evaluation.json', () => {
  it('is read as it was written', () => {
    expect(parseRouterEvaluation(encodeRouterEvaluation(report))).toEqual(report);
  });

  it.each([
    ['a text in it', { ...report, prompt: 'hello' }, /prompt/],
    ['an expert that is none of them', { ...report, map: { ...map, chosen: [0, 2] } }, /map\.chosen/],
    ['a label that has no name', { ...report, map: { ...map, label: [0, 1] } }, /map\.label/],
    ['too few choices', { ...report, map: { ...map, chosen: [0] } }, /1 entries for 2 prompts/],
    ['too few places', { ...report, map: { ...map, spaces: [{ ...map.spaces[0], x: [0] }] } }, /losses/],
    [
      'a place outside',
      { ...report, map: { ...map, spaces: [{ ...map.spaces[0], x: [0, 1001] }] } },
      /spaces\.0\.x/,
    ],
    [
      'a figure that is none',
      { ...report, figures: { ...report.figures, coverage: 2 } },
      /figures\.coverage/,
    ],
    ['another version', { ...report, schemaVersion: 2 }, /schemaVersion/],
  ])('refuses %s, with its place and what to do', (_, value, pattern) => {
    expect(() => parseRouterEvaluation(bytesOf(value))).toThrow(pattern);
    expect(() => parseRouterEvaluation(bytesOf(value))).toThrow(/router evaluate --save/);
  });

  it('refuses what is no JSON, and what is too large', () => {
    expect(() => parseRouterEvaluation(new Uint8Array([0xff]))).toThrow(/not JSON in UTF-8/);
    expect(() => parseRouterEvaluation(new Uint8Array(MAX_EVALUATION_BYTES + 1))).toThrow(/larger than/);
    expect(() => encodeRouterEvaluation({ ...report, n: 0 })).toThrow(/wrong at n/);
  });
});
