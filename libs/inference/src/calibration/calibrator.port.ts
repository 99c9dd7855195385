import type { SessionChoice, Trial } from './session-choice.js';

/** What a calibration found. */
export interface Calibration {
  readonly choice: SessionChoice;
  /** Everything that was tried, the plain way first. */
  readonly trials: readonly Trial[];
  /** Processes that may run one graph at a time while it is busy. */
  readonly children: number;
  /** Batches a second of two processes together, as a multiple of those of one. */
  readonly gain: number;
}

/** Measures how sessions are best made on this machine. */
export interface Calibrator {
  /** Undefined when others kept the machine too busy to say. @throws EXPERT_CRASHED */
  calibrate(): Promise<Calibration | undefined>;
}

/** A calibration that was kept. */
export interface KeptCalibration extends Calibration {
  /** What it holds for: processor, cores, versions. */
  readonly machine: string;
  /** ISO 8601. */
  readonly measuredAt: string;
}

/** Where calibrations are kept. */
export interface CalibrationFile {
  /** Undefined when there is none that can be read. */
  read(): Promise<KeptCalibration | undefined>;
  /** @throws ARTIFACT_STORE_FULL when it cannot be written, with the reason of the file system */
  write(kept: KeptCalibration): Promise<void>;
}
