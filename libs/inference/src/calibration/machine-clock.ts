import { availableParallelism, cpus } from 'node:os';
import { PROBE_VERSION } from './probe-graph.js';
import type { CalibrationClock } from './measure-sessions.js';

/** The clocks of this machine, seen from a process that does nothing but measure. */
export function machineClock(): CalibrationClock {
  return {
    cores: availableParallelism(),
    now: () => performance.now(),
    busyMs,
    ownMs,
  };
}

/** What a calibration holds for: the processor, its cores, the runtime, the probe. */
export function machineName(): string {
  const [cpu] = cpus();
  return `${availableParallelism()} x ${cpu?.model.trim() ?? 'unknown'}, Node ${process.version}, probe ${PROBE_VERSION}`;
}

function busyMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}

function ownMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
