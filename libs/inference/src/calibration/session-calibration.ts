import type { SessionOptions } from '../inference-runtime.port.js';
import { PLAIN, type SessionChoice } from './session-choice.js';
import type { Calibration, CalibrationFile, Calibrator } from './calibrator.port.js';

/** What a calibration of sessions needs. */
export interface SessionCalibrationOptions {
  readonly calibrator: Calibrator;
  readonly file: CalibrationFile;
  /** What a kept calibration must have been measured on. */
  readonly machine: string;
  /** What somebody has set, which nothing that is measured changes; with all of it set nothing is measured. */
  readonly set: Partial<Pick<SessionChoice, 'threads' | 'weights'> & Pick<Calibration, 'children'>>;
  /** Told that sessions that are open would now be made in another way. */
  readonly onChanged: (found: Calibration) => void;
  /** Told that something went wrong; sessions are made in the plain way until the next try. */
  readonly onFault: (fault: unknown) => void;
  /** First pause between tries on a busy machine, milliseconds; it doubles up to forty times that. Default 15,000. */
  readonly pauseMs?: number;
}

const PAUSE_MS = 15_000;
const LONGEST_PAUSES = 40;

/**
 * How the sessions of this host are made: as it was set, else as a short calibration chose, which is kept for the next start. On a
 * machine that others keep busy sessions are made in the plain way, and it is tried again until the machine is quiet.
 */
export class SessionCalibration {
  readonly name = 'session calibration';
  private chosen: SessionChoice = PLAIN;
  private chosenChildren = 1;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly options: SessionCalibrationOptions) {}

  /** For a session that is made now. */
  get session(): SessionOptions {
    const { threads = this.chosen.threads, weights = this.chosen.weights } = this.options.set;
    return { threads, weights, arena: this.chosen.arena };
  }

  /** Processes that one graph may have while it is busy. */
  get children(): number {
    return this.options.set.children ?? this.chosenChildren;
  }

  async start(): Promise<void> {
    const { file, machine, set } = this.options;
    if ([set.threads, set.weights, set.children].every((value) => value !== undefined)) return;
    const kept = await file.read();
    if (kept?.machine === machine) this.choose(kept);
    else await this.calibrate(this.options.pauseMs ?? PAUSE_MS, () => undefined);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private async calibrate(pauseMs: number, onFound: (found: Calibration) => void): Promise<void> {
    const { calibrator, file, machine, onFault } = this.options;
    let found: Calibration | undefined;
    try {
      found = await calibrator.calibrate();
      if (found) {
        this.choose(found);
        await file.write({ machine, measuredAt: new Date().toISOString(), ...found });
      }
    } catch (fault) {
      // One that ends because the host does is no fault.
      if (!this.closed) onFault(fault);
    }
    if (found) onFound(found);
    else if (!this.closed) this.tryLater(pauseMs);
  }

  private choose({ choice, children }: Calibration): void {
    this.chosen = choice;
    this.chosenChildren = children;
  }

  private tryLater(pauseMs: number): void {
    const longest = LONGEST_PAUSES * (this.options.pauseMs ?? PAUSE_MS);
    this.timer = setTimeout(() => {
      void this.calibrate(Math.min(2 * pauseMs, longest), this.options.onChanged);
    }, pauseMs).unref();
  }
}
