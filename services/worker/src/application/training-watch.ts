import { ATTRIBUTES, METRICS, type TrainingMethod } from '@thalamus/contracts';
import { counter, gauge, histogram } from '@thalamus/telemetry';
import type { TrainingReport } from './job-process.port.js';

/** Stops the gauges of the watch that is read: a worker runs one training at a time. */
let stopLatest: () => void = () => undefined;

/**
 * The metrics of one training, from its beginning to its end. Its gauges stay until the next one begins, since a series that is
 * no longer observed would keep its last value: the age of the checkpoint is 0 then.
 */
export class TrainingWatch {
  private readonly attributes: Readonly<Record<string, string>>;
  private readonly tokens = counter(METRICS.trainingTokens);
  private readonly steps = histogram(METRICS.trainingStepDuration);
  private lossNats: number | undefined;
  private storedAt: number;
  private isRunning = true;

  constructor(
    method: TrainingMethod | 'repair',
    private readonly now: () => number = () => performance.now(),
  ) {
    this.attributes = { [ATTRIBUTES.trainingMethod]: method };
    this.storedAt = now();
    stopLatest();
    const stops = [
      gauge(METRICS.trainingValidationLoss, () =>
        this.lossNats === undefined ? [] : [[this.lossNats, this.attributes]],
      ),
      gauge(METRICS.trainingCheckpointAge, () => [[this.unstoredSeconds, this.attributes]]),
    ];
    stopLatest = () => {
      for (const stop of stops) stop();
    };
  }

  /** Counts a step, or remembers a validation. */
  report(report: TrainingReport): void {
    if (report.kind === 'validation') {
      this.lossNats = report.lossNats;
      return;
    }
    this.tokens.add(report.tokens, this.attributes);
    if (report.seconds !== undefined) this.steps.record(report.seconds, this.attributes);
  }

  /** The training's state lies where the next claimant finds it. */
  stored(): void {
    this.storedAt = this.now();
  }

  /** Nothing is lost any more when the worker dies. */
  end(): void {
    this.isRunning = false;
  }

  private get unstoredSeconds(): number {
    return this.isRunning ? (this.now() - this.storedAt) / 1_000 : 0;
  }
}
