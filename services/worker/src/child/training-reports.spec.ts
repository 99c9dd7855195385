import { expect, it } from 'vitest';
import type { TrainingReport } from '../application/job-process.port.js';
import { TrainingReports } from './training-reports.js';

it('measures steps without what comes between them, and tells tokens and the loss of validations', () => {
  let now = 0;
  const told: TrainingReport[] = [];
  const reports = new TrainingReports(
    (report) => told.push(report),
    () => now,
  );
  const step = (tokens: number) => {
    const facts = { step: 1, totalSteps: 9, epoch: 0, loss: 1, rate: 1, gradientNorm: 1 };
    reports.event({ kind: 'step', tokens, ...facts });
  };
  // When the first step began is not known.
  now = 5_000;
  step(100);
  now = 5_200;
  step(110);
  now = 9_000;
  reports.event({ kind: 'validation', step: 2, best: true, score: [1], figures: { logLoss: 0.5 } });
  now = 9_300;
  step(120);
  now = 9_900;
  reports.ready();
  now = 10_000;
  step(130);
  expect(told).toEqual([
    { kind: 'step', tokens: 100, seconds: undefined },
    { kind: 'step', tokens: 110, seconds: 0.2 },
    { kind: 'validation', lossNats: 0.5 },
    { kind: 'step', tokens: 120, seconds: 0.3 },
    { kind: 'step', tokens: 130, seconds: 0.1 },
  ]);
});
