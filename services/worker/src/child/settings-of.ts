import { HYPER_PARAMETER_NAMES } from '@thalamus/contracts';
import type { HyperParameters } from '@thalamus/training';
import type { JobWork } from '../application/job-process.port.js';

/** The defaults with what was asked for. */
export function settingsOf(
  wanted: Extract<JobWork, { kind: 'train' }>['wanted'],
  defaults: HyperParameters,
): HyperParameters {
  const given = HYPER_PARAMETER_NAMES.filter((name) => wanted[name] !== undefined);
  return { ...defaults, ...Object.fromEntries(given.map((name) => [name, wanted[name]])) };
}
