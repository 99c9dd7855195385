import { ThalamusError } from '@thalamus/errors';
import { fork } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { childScript } from '../child-script.js';
import type { CalibrationReply, CalibrationRequest } from './calibrating-protocol.js';
import type { Calibration, Calibrator } from './calibrator.port.js';
import { machineClock } from './machine-clock.js';
import { BUSY_SHARE, type CalibrationClock } from './measure-sessions.js';
import { childrenFor, type SessionChoice } from './session-choice.js';

/** How long a process may take, milliseconds, before it counts as hung. */
const TIMEOUT_MS = 60_000;
/** How long the machine is looked at before anything is measured, milliseconds. */
const LOOK_MS = 150;
/** How long throughput is measured, milliseconds. */
const THROUGHPUT_MS = 300;

/** Calibrates in processes of their own, which do nothing else and end with it. */
export class ProcessCalibrator implements Calibrator {
  private readonly ending = new AbortController();

  constructor(private readonly clock: CalibrationClock = machineClock()) {}

  async calibrate(): Promise<Calibration | undefined> {
    if (await this.isBusy()) return undefined;
    const found = await this.begin({ kind: 'sessions' }).of('sessions');
    if (!found.found) return undefined;
    const gain = this.clock.cores < 2 ? 1 : await this.gainOfTwo(found.found.choice);
    return { ...found.found, gain, children: childrenFor(gain) };
  }

  /** Ends a calibration that is under way. */
  close(): void {
    this.ending.abort();
  }

  /** Whether it is plain beforehand that others, or this service, leave too little of the machine. */
  private async isBusy(): Promise<boolean> {
    const { now, busyMs, cores } = this.clock;
    const [startedAt, busy] = [now(), busyMs()];
    await wait(LOOK_MS);
    return busyMs() - busy > BUSY_SHARE * cores * (now() - startedAt);
  }

  /** What two processes get done together, as a multiple of what one does. */
  private async gainOfTwo(choice: SessionChoice): Promise<number> {
    const one = await this.throughputOf(1, choice);
    const two = await this.throughputOf(2, choice);
    return two / one;
  }

  private async throughputOf(count: number, choice: SessionChoice): Promise<number> {
    const workers = Array.from({ length: count }, () => {
      const { send, of } = this.begin({ kind: 'throughput', choice, forMs: THROUGHPUT_MS });
      const [ready, done] = [of('ready'), of('throughput')];
      // Its end may come while another one is waited for.
      done.catch(() => undefined);
      return { send, ready, done };
    });
    await Promise.all(workers.map(({ ready }) => ready));
    for (const { send } of workers) send({ kind: 'begin' });
    const answers = await Promise.all(workers.map(({ done }) => done));
    return answers.reduce((sum, { perSecond }) => sum + perSecond, 0);
  }

  /** Starts a process, asks it, and gives what it answers by its kind. */
  private begin(request: CalibrationRequest) {
    const child = fork(childScript('calibration/calibrating-main'), [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      signal: this.ending.signal,
    });
    const send = (message: CalibrationRequest) => {
      // One that cannot be asked ends, which its answers say.
      child.send(message, () => undefined);
    };
    const of = <K extends CalibrationReply['kind']>(kind: K) =>
      new Promise<Extract<CalibrationReply, { kind: K }>>((resolve, reject) => {
        child.on('message', (reply: CalibrationReply) => {
          if (reply.kind === kind) resolve(reply as Extract<CalibrationReply, { kind: K }>);
        });
        child.once('exit', (code, signal) => {
          reject(crashed(signal ?? `exit code ${code ?? 'unknown'}`));
        });
        child.once('error', (error) => {
          reject(crashed(error.message));
        });
      });
    send(request);
    return { send, of };
  }
}

function crashed(reason: string): ThalamusError {
  return new ThalamusError(
    'EXPERT_CRASHED',
    `The process that measures how sessions are best made failed (${reason}); they are made with one thread, set THALAMUS_INFERENCE_THREADS to choose yourself.`,
  );
}
