import type { WorkProgress } from '../application/job-process.port.js';

/** Least time between two reports of one stage, in milliseconds. */
const INTERVAL_MS = 250;

/** Tells how far the work is, not too often, with an estimate of what is left of the stage. */
export class WorkReporter {
  private stage = '';
  private startedAt = 0;
  private firstDone = 0;
  private toldAt = -Infinity;

  constructor(
    private readonly tell: (progress: WorkProgress) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** `done` of `total` units of a stage are done, 0 when the total is unknown; `loss` of the last step, where there is one. */
  step(stage: string, done: number, total: number, loss?: number): void {
    const now = this.now();
    if (stage !== this.stage) {
      this.stage = stage;
      this.startedAt = now;
      this.firstDone = done;
      this.toldAt = -Infinity;
    }
    if (now - this.toldAt < INTERVAL_MS && done < total) return;
    this.toldAt = now;
    const since = done - this.firstDone;
    const etaMs = since > 0 ? Math.round(((now - this.startedAt) / since) * Math.max(0, total - done)) : 0;
    this.tell({ stage, done, total, etaMs, ...(loss === undefined ? {} : { loss }) });
  }
}
