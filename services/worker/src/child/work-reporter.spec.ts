import { expect, it } from 'vitest';
import type { WorkProgress } from '../application/job-process.port.js';
import { WorkReporter } from './work-reporter.js';

it('estimates what is left of a stage from its own pace, and does not tell too often', () => {
  let now = 0;
  const told: WorkProgress[] = [];
  const reporter = new WorkReporter(
    (progress) => told.push(progress),
    () => now,
  );
  reporter.step('embedding', 100, 300);
  now = 100;
  reporter.step('embedding', 110, 300);
  now = 1_000;
  reporter.step('embedding', 150, 300);
  // 50 in a second, counted from where this attempt began: 150 more take three.
  expect(told.map(({ done, etaMs }) => [done, etaMs])).toEqual([
    [100, 0],
    [150, 3_000],
  ]);
  now = 1_001;
  reporter.step('embedding', 300, 300);
  reporter.step('fitting', 1, 10);
  expect(told.slice(2).map(({ stage, done, etaMs }) => [stage, done, etaMs])).toEqual([
    ['embedding', 300, 0],
    ['fitting', 1, 0],
  ]);
});
