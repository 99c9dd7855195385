import type { SingleBar } from 'cli-progress';

/** How far something is. */
export interface Step {
  readonly stage: string;
  readonly done: bigint | number;
  readonly total: bigint | number;
}

/** A bar on a terminal, nothing in a pipe or with --json. */
export interface ProgressBar {
  step(step: Step): void;
  end(): void;
}

const SILENT: ProgressBar = { step: () => undefined, end: () => undefined };

/** A progress bar on standard error. */
export async function progressBar(json: boolean): Promise<ProgressBar> {
  if (json || !process.stderr.isTTY) return SILENT;
  const { default: cliProgress } = await import('cli-progress');
  const bar: SingleBar = new cliProgress.SingleBar({
    format: '  {bar} {stage} {value}/{total}',
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  });
  let running = false;
  return {
    step: ({ stage, done, total }) => {
      const units = Number(total) || 1;
      if (!running) bar.start(units, 0, { stage });
      running = true;
      bar.setTotal(units);
      bar.update(Number(done), { stage });
    },
    end: () => {
      if (running) bar.stop();
    },
  };
}
