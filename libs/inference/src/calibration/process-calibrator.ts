import { ThalamusError } from '@thalamus/errors';
import { fork } from 'node:child_process';
import { childScript } from '../child-script.js';
import type { Calibration, Calibrator } from './calibrator.port.js';
import { setTimeout as wait } from 'node:timers/promises';
import { BUSY_SHARE, type CalibrationClock } from './measure-sessions.js';
import { machineClock } from './machine-clock.js';

/** How long it may take, milliseconds, before it counts as hung. */
const TIMEOUT_MS = 60_000;
/** How long the machine is looked at before anything is measured, milliseconds. */
const LOOK_MS = 150;

/** Calibrates in a process of its own, which does nothing else and ends with it. */
export class ProcessCalibrator implements Calibrator {
  private readonly ending = new AbortController();

  constructor(private readonly clock: CalibrationClock = machineClock()) {}

  async calibrate(): Promise<Calibration | undefined> {
    return (await this.isBusy()) ? undefined : this.inProcess();
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

  private inProcess(): Promise<Calibration | undefined> {
    const child = fork(childScript('calibration/calibrating-main'), [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      signal: this.ending.signal,
    });
    return new Promise((resolve, reject) => {
      child.once('message', ({ found }: { readonly found?: Calibration }) => {
        resolve(found);
      });
      child.once('exit', (code, signal) => {
        reject(crashed(signal ?? `exit code ${code ?? 'unknown'}`));
      });
      child.once('error', (error) => {
        reject(crashed(error.message));
      });
    });
  }
}

function crashed(reason: string): ThalamusError {
  return new ThalamusError(
    'EXPERT_CRASHED',
    `The process that measures how sessions are best made failed (${reason}); they are made with one thread, set THALAMUS_INFERENCE_THREADS to choose yourself.`,
  );
}
