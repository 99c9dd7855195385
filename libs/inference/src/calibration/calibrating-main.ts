import { OrtRuntime } from '../ort-runtime.js';
import { measureSessions } from './measure-sessions.js';
import { machineClock } from './machine-clock.js';

/** The process that a calibration runs in: sessions and arenas of its trials end with it. */
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group: the service decides when this process stops.
process.on('SIGINT', () => undefined);

const found = await measureSessions(new OrtRuntime(), machineClock());
process.send?.({ found }, undefined, undefined, () => process.exit(0));
