import type { TrainingEvent } from '@thalamus/training';
import type { TrainingReport } from '../application/job-process.port.js';

/** Turns the events of a training into reports for metrics, and measures its steps. */
export class TrainingReports {
  private readyAt: number | undefined;

  constructor(
    private readonly tell: (report: TrainingReport) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  event(event: TrainingEvent): void {
    const now = this.now();
    if (event.kind === 'validation') {
      const lossNats = event.figures['logLoss'];
      if (lossNats !== undefined) this.tell({ kind: 'validation', lossNats });
    } else {
      const seconds = this.readyAt === undefined ? undefined : (now - this.readyAt) / 1_000;
      this.tell({ kind: 'step', tokens: event.tokens, seconds });
    }
    this.ready();
  }

  /** The next step begins now: what came before it is no part of it. */
  ready(): void {
    this.readyAt = this.now();
  }
}
