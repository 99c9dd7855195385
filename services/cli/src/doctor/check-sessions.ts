import {
  CALIBRATION_FILE,
  JsonCalibrationFile,
  machineName,
  PLAIN,
  speedUp,
  type KeptCalibration,
  type SessionChoice,
} from '@thalamus/inference';
import { join } from 'node:path';
import { fine, wrong, type Check } from './check.js';

const NAME = 'inference';

/** How the host of a mesh makes its sessions, and why. */
export async function checkSessions(dataFolder: string): Promise<Check> {
  const file = join(dataFolder, 'expert-host', CALIBRATION_FILE);
  const kept = await new JsonCalibrationFile(file).read();
  if (!kept)
    return fine(
      NAME,
      `${words(PLAIN)}: not calibrated yet, which the host does as soon as the machine is quiet for some seconds`,
    );
  if (kept.machine !== machineName())
    return wrong(
      NAME,
      `calibrated on another machine (${kept.machine})`,
      'Start the mesh again: the host then calibrates anew.',
    );
  return fine(NAME, explained(kept));
}

function explained(kept: KeptCalibration): string {
  const { choice, trials, measuredAt } = kept;
  const chosen = trials.find((trial) => isSame(trial.choice, choice));
  const plain = trials.find((trial) => isSame(trial.choice, PLAIN));
  const measured = `measured ${measuredAt.slice(0, 10)} beside ${trials.length - 1} other ways`;
  const second = processes(kept);
  if (!chosen || !plain || chosen === plain)
    return `${words(choice)}: nothing was faster, ${measured}; ${second}`;
  const ratio = speedUp(chosen, plain).toFixed(2);
  return `${words(choice)}: ${ratio} times as fast as ${words(PLAIN)}, ${measured}; ${second}`;
}

function processes({ children, gain }: KeptCalibration): string {
  const times = `two get ${gain.toFixed(2)} times as much done`;
  return children > 1
    ? `a busy graph gets a second process (${times})`
    : `a graph has one process (${times})`;
}

function isSame(a: SessionChoice, b: SessionChoice): boolean {
  return a.threads === b.threads && a.weights === b.weights && a.arena === b.arena;
}

function words({ threads, weights, arena }: SessionChoice): string {
  const how = weights === 'stored' ? 'weights as stored' : 'weights unpacked to float32';
  return `${threads} ${threads === 1 ? 'thread' : 'threads'}, ${how}, memory ${arena ? 'kept for' : 'given back after'} each run`;
}
