import { METRICS } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import {
  CALIBRATION_FILE,
  ChildProcessPool,
  JsonCalibrationFile,
  machineName,
  ProcessCalibrator,
  SessionCalibration,
} from '@thalamus/inference';
import type { ServiceComponent } from '@thalamus/lifecycle';
import { counter, type Logger } from '@thalamus/telemetry';
import { join } from 'node:path';
import type { HostSettings } from '../../config.js';

/** How often processes ended unasked, and were exchanged because of their memory, since the host started. */
export interface ProcessCounts {
  restarts: number;
  recycles: number;
}

/** What the host has to do with its inference processes. */
export interface HostProcesses {
  readonly processes: ChildProcessPool;
  /** Says how sessions are made in them. */
  readonly calibration: ServiceComponent;
  readonly counts: Readonly<ProcessCounts>;
}

/** Whether there is memory for processes that a host could do without. */
export interface ProcessRoom {
  /** For one that waits for a model. */
  readonly forSpare: () => boolean;
  /** For a second one of a busy model, which takes about so many bytes. */
  readonly forRelief: (bytes: number) => boolean;
}

/** The inference processes of a host, and the calibration that says how sessions are made in them. */
export function inferenceProcesses(settings: HostSettings, logger: Logger, room: ProcessRoom): HostProcesses {
  const counts: ProcessCounts = { restarts: 0, recycles: 0 };
  const restarts = counter(METRICS.childRestarts);
  restarts.add(0);
  const recycles = counter(METRICS.childRecycles);
  recycles.add(0);
  const { sessions, component } = calibrationOf(settings, logger, () => {
    processes.loadAnew();
  });
  const processes = new ChildProcessPool({
    session: () => sessions.session,
    children: (bytes) => (room.forRelief(bytes) ? sessions.children : 1),
    maySpare: room.forSpare,
    runTimeoutMs: settings.runTimeoutMs,
    dataLimitBytes: settings.childMemoryLimitBytes,
    slackBytes: settings.childSlackBytes,
    onCrash: (model, reason) => {
      restarts.add(1);
      counts.restarts += 1;
      logger.error({ model, reason }, 'inference process ended; it is started again');
    },
    onRecycle: (process, reason) => {
      if (reason === 'session-options') return;
      recycles.add(1);
      counts.recycles += 1;
      logger.warn({ ...process, reason }, 'inference process is exchanged because of the memory it has');
    },
  });
  return { processes, calibration: component, counts };
}

function calibrationOf(settings: HostSettings, logger: Logger, loadAnew: () => void) {
  const { threads, weights, children, dataFolder } = settings;
  const calibrator = new ProcessCalibrator();
  const sessions = new SessionCalibration({
    calibrator,
    file: new JsonCalibrationFile(join(dataFolder, CALIBRATION_FILE)),
    machine: machineName(),
    set: {
      ...(threads === 'auto' ? {} : { threads }),
      ...(weights === 'auto' ? {} : { weights }),
      ...(children === 'auto' ? {} : { children }),
    },
    onChanged: ({ choice }) => {
      logger.info({ ...choice }, 'sessions are made anew, as the calibration chose');
      loadAnew();
    },
    onFault: (fault) => {
      logger.warn({ reason: toThalamusError(fault).message }, 'sessions could not be calibrated');
    },
  });
  const component: ServiceComponent = {
    name: sessions.name,
    start: () => sessions.start(),
    close: () => {
      sessions.close();
      calibrator.close();
      return Promise.resolve();
    },
  };
  return { sessions, component };
}
