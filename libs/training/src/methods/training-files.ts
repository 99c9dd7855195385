import { lossCurve, type CurvePoint } from '../loop/loss-curve.js';
import type { TrainingEvent } from '../loop/train-loop.js';

/** Files of a bundle that show how it was trained. */
export const TRAINING_FILES = { log: 'training.jsonl', curve: 'loss-curve.svg' } as const;

/** Most steps that the log of a bundle holds; of a longer run every second, third and so on is kept. */
const LOGGED_STEPS = 120;
const SIGNIFICANT_DIGITS = 6;

/**
 * The log without times, so that equal runs give equal bundles, and its curve. Every validation is kept, and of the steps 120 at
 * most, evenly spaced; numbers have six significant digits. A log that was made so is made into itself.
 */
export function trainingFiles(name: string, all: readonly TrainingEvent[]): Record<string, Uint8Array> {
  const steps = all.filter(({ kind }) => kind === 'step').length;
  const every = Math.max(1, Math.ceil(steps / LOGGED_STEPS));
  let seen = 0;
  const events = all.filter((event) => event.kind === 'validation' || ++seen % every === 0).map(rounded);
  const training: CurvePoint[] = [];
  const validation: CurvePoint[] = [];
  for (const event of events) {
    if (event.kind === 'step') training.push({ step: event.step, value: event.loss });
    else validation.push({ step: event.step, value: event.figures['logLoss'] ?? NaN });
  }
  const encoder = new TextEncoder();
  return {
    [TRAINING_FILES.log]: encoder.encode(events.map((event) => `${JSON.stringify(event)}\n`).join('')),
    [TRAINING_FILES.curve]: encoder.encode(lossCurve(name, training, validation)),
  };
}

/** Whole numbers stay as they are. */
function rounded(event: TrainingEvent): TrainingEvent {
  return JSON.parse(
    JSON.stringify(event, (_, value: unknown) =>
      typeof value === 'number' && Number.isFinite(value) && !Number.isInteger(value)
        ? Number(value.toPrecision(SIGNIFICANT_DIGITS))
        : value,
    ),
  ) as TrainingEvent;
}
