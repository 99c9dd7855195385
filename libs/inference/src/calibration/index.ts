export { CALIBRATION_FILE, JsonCalibrationFile } from './calibration-file.js';
export type { KeptCalibration } from './calibrator.port.js';
export { machineName } from './machine-clock.js';
export { ProcessCalibrator } from './process-calibrator.js';
export { SessionCalibration } from './session-calibration.js';
export { PLAIN, speedUp, type SessionChoice } from './session-choice.js';
