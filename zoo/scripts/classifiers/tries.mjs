// What is tried of a set: a probe, and branches with settings that differ from the defaults of the method `lora`.

/** Settings of each try by its name; undefined for the probe. */
export const TRIES = {
  probe: undefined,
  '5e-4': {},
  '1e-3': { rate: 1e-3 },
  'head 0.3': { headScale: 0.3 },
  'head 0.3, 1e-3': { headScale: 0.3, rate: 1e-3 },
  'head 0.5 at 2e-3, 1e-3': { headScale: 0.5, headRate: 2e-3, rate: 1e-3 },
};

/** Branches that are tried where a set names none. */
const USUAL_TRIES = ['5e-4'];

/** Names of what is tried of a set, the probe first; of those, the ones that `only` names. */
export function triesOf({ tries = USUAL_TRIES }, only) {
  return ['probe', ...tries].filter((name) => !only || only.includes(name));
}
