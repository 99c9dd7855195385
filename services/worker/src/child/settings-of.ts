import { HYPER_PARAMETER_NAMES, type HyperParameterName, type TrainParameters } from '@thalamus/contracts';
import type { HyperParameters } from '@thalamus/training';

/** The defaults with what was asked for. */
export function settingsOf(
  wanted: Partial<Pick<TrainParameters, HyperParameterName>>,
  defaults: HyperParameters,
): HyperParameters {
  const given = HYPER_PARAMETER_NAMES.filter((name) => wanted[name] !== undefined);
  return { ...defaults, ...Object.fromEntries(given.map((name) => [name, wanted[name]])) };
}
