import type { RunProgress, TrainingEvent } from '@thalamus/training';
import cliProgress from 'cli-progress';
import { duration } from '../jobs/job-lines.js';

/** Where lines go. */
interface Target {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

const WORDS: Readonly<Record<RunProgress['stage'], string>> = {
  embedding: 'embedding',
  fitting: 'fitting a probe',
  tokenising: 'tokenising',
  training: 'training',
  measuring: 'measuring',
};

/**
 * Shows a training run: a bar with loss, pace and time left on a terminal; a line for each new stage, tenth and validation
 * in a pipe; nothing with --json. Events go to a log with their time, a JSON object a line.
 */
export class RunView {
  private readonly bar: cliProgress.SingleBar | undefined;
  private stage = '';
  private startedAt = 0;
  private startedFrom = 0;
  private tenth = -1;
  private tokens = 0;
  private detail = '';

  constructor(
    private readonly quiet: boolean,
    private readonly log: ((line: string) => void) | undefined,
    private readonly target: Target = process.stderr,
    private readonly now: () => number = Date.now,
  ) {
    if (quiet || !target.isTTY) return;
    this.bar = new cliProgress.SingleBar({
      format: '  {stage}  {bar} {percentage}%  {value}/{total}  {left}  {detail}',
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
    });
  }

  progress({ stage, done, total }: RunProgress): void {
    if (stage !== this.stage) {
      this.stage = stage;
      this.startedAt = this.now();
      this.startedFrom = done > 1 ? done - 1 : 0;
      this.tenth = -1;
      this.tokens = 0;
      this.detail = '';
      this.bar?.stop();
      this.bar?.start(Math.max(1, total), done, this.payload(done, total));
    }
    this.bar?.setTotal(Math.max(1, total));
    this.bar?.update(done, this.payload(done, total));
    const tenth = total > 0 ? Math.floor((10 * done) / total) : 0;
    if (this.bar || this.quiet || tenth === this.tenth) return;
    this.tenth = tenth;
    const { left, detail } = this.payload(done, total);
    this.line([WORDS[stage], `${done}/${total}`, left, detail].filter((part) => part !== '').join('  '));
  }

  event(event: TrainingEvent): void {
    this.log?.(JSON.stringify({ time: new Date(this.now()).toISOString(), ...event }));
    if (event.kind === 'validation') {
      const figures = Object.entries(event.figures).map(([name, value]) => `${name} ${value.toFixed(4)}`);
      if (!this.bar)
        this.line(
          `step ${event.step}: validation ${figures.join(', ')}${event.best ? ' (best so far)' : ''}`,
        );
      return;
    }
    this.tokens += event.tokens;
    const seconds = Math.max(1e-3, (this.now() - this.startedAt) / 1000);
    this.detail = `loss ${event.loss.toFixed(3)}  ${Math.round(this.tokens / seconds)} tokens/s`;
  }

  end(): void {
    this.bar?.stop();
  }

  private payload(done: number, total: number): { stage: string; left: string; detail: string } {
    const gained = done - this.startedFrom;
    const elapsedMs = this.now() - this.startedAt;
    const isKnown = gained > 0 && elapsedMs > 0 && done < total;
    const left = isKnown ? `${duration((elapsedMs / gained) * (total - done))} left` : '';
    return { stage: WORDS[this.stage as RunProgress['stage']].padEnd(15), left, detail: this.detail };
  }

  private line(text: string): void {
    if (!this.quiet) this.target.write(`${text}\n`);
  }
}
