import type { jobV1 } from '@thalamus/contracts';
import cliProgress from 'cli-progress';
import { duration, lossOf, stateName, standingOf } from './job-lines.js';

/** Shows how far a job is. */
export interface JobProgressView {
  show(job: jobV1.Job): void;
  /** Takes the bar away. */
  end(): void;
}

/** Where lines go. */
export interface ProgressTarget {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

/** A bar with an estimate on a terminal, a line for each new stage and each tenth in a pipe, nothing for JSON. */
export function progressView(json: boolean, target: ProgressTarget = process.stderr): JobProgressView {
  if (json) return { show: () => undefined, end: () => undefined };
  return target.isTTY ? barView() : lineView(target);
}

function barView(): JobProgressView {
  const bar = new cliProgress.SingleBar({
    format: '  {stage}  {bar} {percentage}%  {value}/{total}  {left}  {loss}',
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  });
  let running = false;
  return {
    show: (job) => {
      const { stage = '', done = 0n, total = 0n, etaMs = 0n } = job.progress ?? {};
      const words = stage === '' || job.worker === '' ? stateName(job.state) : stage;
      const left = etaMs > 0n ? `${duration(Number(etaMs))} left` : '';
      const payload = { stage: words.padEnd(11), left, loss: lossOf(job) };
      if (!running) bar.start(Math.max(1, Number(total)), Number(done), payload);
      running = true;
      bar.setTotal(Math.max(1, Number(total)));
      bar.update(Number(done), payload);
    },
    end: () => {
      if (running) bar.stop();
      running = false;
    },
  };
}

function lineView(target: ProgressTarget): JobProgressView {
  let last = '';
  return {
    show: (job) => {
      const { stage = '', done = 0n, total = 0n } = job.progress ?? {};
      const tenth = total > 0n ? Number((done * 10n) / total) : 0;
      const key = `${job.state} ${stage} ${tenth}`;
      if (key === last) return;
      last = key;
      target.write(`${job.id} ${stateName(job.state)} ${standingOf(job)}`.trimEnd() + '\n');
    },
    end: () => undefined,
  };
}
