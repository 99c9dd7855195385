import { describe, expect, it } from 'vitest';
import type { TrainingEvent } from '../loop/train-loop.js';
import { TRAINING_FILES, trainingFiles } from './training-files.js';

/** A run of so many steps with a validation after every hundredth. */
function run(totalSteps: number): TrainingEvent[] {
  const events: TrainingEvent[] = [];
  for (let step = 1; step <= totalSteps; step++) {
    const loss = 7 / 3 + 1 / step;
    events.push({
      kind: 'step',
      step,
      totalSteps,
      epoch: 0,
      loss,
      rate: 1e-4 / 3,
      gradientNorm: 2 / 3,
      tokens: 1024,
    });
    if (step % 100 === 0)
      events.push({ kind: 'validation', step, best: true, score: [-loss], figures: { logLoss: loss } });
  }
  return events;
}

const logOf = (events: readonly TrainingEvent[]) =>
  new TextDecoder()
    .decode(trainingFiles('notes', events)[TRAINING_FILES.log])
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as TrainingEvent);
const stepsOf = (events: readonly TrainingEvent[]) =>
  events.filter(({ kind }) => kind === 'step').map(({ step }) => step);

describe('trainingFiles', () => {
  it('keeps every step of a short run', () => {
    expect(stepsOf(logOf(run(120)))).toEqual(Array.from({ length: 120 }, (_, at) => at + 1));
  });

  it('keeps evenly spaced steps of a longer run, and every validation', () => {
    const log = logOf(run(718));
    expect(stepsOf(log)).toEqual(Array.from({ length: 119 }, (_, at) => 6 * (at + 1)));
    expect(log.filter(({ kind }) => kind === 'validation').map(({ step }) => step)).toEqual([
      100, 200, 300, 400, 500, 600, 700,
    ]);
  });

  it('rounds to six significant digits, and leaves whole numbers', () => {
    const [first, validation] = logOf([
      {
        kind: 'step',
        step: 12345678,
        totalSteps: 23456789,
        epoch: 0,
        loss: 2.60461282,
        rate: 7.739938080495446e-7,
        gradientNorm: 4.04796007,
        tokens: 186,
      },
      {
        kind: 'validation',
        step: 12345678,
        best: true,
        score: [-5.64210514],
        figures: { logLoss: 5.64210514 },
      },
    ]);
    expect(first).toEqual({
      kind: 'step',
      step: 12345678,
      totalSteps: 23456789,
      epoch: 0,
      loss: 2.60461,
      rate: 7.73994e-7,
      gradientNorm: 4.04796,
      tokens: 186,
    });
    expect(validation).toMatchObject({ score: [-5.64211], figures: { logLoss: 5.64211 } });
  });

  it('makes a log into itself, and one of an earlier, longer form into the same steps', () => {
    const log = logOf(run(718));
    expect(trainingFiles('notes', log)).toEqual(trainingFiles('notes', run(718)));
    const everySecond = run(718).filter(({ kind, step }) => kind === 'validation' || step % 2 === 0);
    expect(trainingFiles('notes', everySecond)).toEqual(trainingFiles('notes', run(718)));
  });
});
