import { OrtRuntime } from '../ort-runtime.js';
import type { CalibrationReply, CalibrationRequest } from './calibrating-protocol.js';
import { machineClock } from './machine-clock.js';
import { measureSessions, measureThroughput } from './measure-sessions.js';

/** The process that a calibration runs in: sessions and arenas of its trials end with it. */
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group: the service decides when this process stops.
process.on('SIGINT', () => undefined);

const runtime = new OrtRuntime();
const reply = (message: CalibrationReply, then = () => {}) =>
  process.send?.(message, undefined, undefined, then);
const { promise: begun, resolve: begin } = Promise.withResolvers<undefined>();

process.on('message', (request: CalibrationRequest) => {
  if (request.kind === 'begin') begin(undefined);
  else
    void answer(request).then((message) => {
      reply(message, () => process.exit(0));
    });
});

async function answer(request: Exclude<CalibrationRequest, { kind: 'begin' }>): Promise<CalibrationReply> {
  if (request.kind === 'sessions')
    return { kind: 'sessions', found: await measureSessions(runtime, machineClock()) };
  const perSecond = await measureThroughput(runtime, request.choice, request.forMs, () => {
    reply({ kind: 'ready' });
    return begun;
  });
  return { kind: 'throughput', perSecond };
}
