import type { Progress, Stage } from '@thalamus/composition';

/** Progress on its way to a caller. A slow one sees the last state of each step, not every one: what waits is bounded. */
export class ProgressChannel implements AsyncIterable<Progress> {
  private readonly waiting = new Map<Stage, Progress>();
  private isEnded = false;
  private wake: () => void = () => undefined;

  push(progress: Progress): void {
    this.waiting.set(progress.stage, progress);
    this.wake();
  }

  /** Ends the iteration once what waits has been taken. */
  end(): void {
    this.isEnded = true;
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Progress> {
    for (;;) {
      for (const [stage, progress] of this.waiting) {
        this.waiting.delete(stage);
        yield progress;
      }
      if (this.waiting.size > 0) continue;
      if (this.isEnded) return;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}
