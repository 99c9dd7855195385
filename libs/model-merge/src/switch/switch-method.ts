import { buildSwitchGraph } from './switch-graph.js';
import type { MergeMethod } from '../merge-method.js';

/** Names of the parameters of `switch`, for code that reads them. */
export const SWITCH_PARAMETERS = { routerL2: 'router_l2', rowsPerParent: 'rows_per_parent' } as const;

/**
 * Twin-Merging of experts over one base. The shared weights are those of the base; what a low-rank expert adds is its
 * exclusive vector, of low rank already, so that nothing is compressed further. Probes add none: for them the encoder runs
 * once, and what is left is the router on its embedding and the heads.
 */
export const SWITCH_METHOD: MergeMethod = {
  name: 'switch',
  reference:
    'Twin-Merging, arXiv 2406.15479, section 3; exclusive vectors are the low-rank branches, zero for probes',
  parentKinds: ['probe', 'lowrank'],
  minParents: 2,
  maxParents: 64,
  takesWeights: false,
  parameters: [
    {
      name: SWITCH_PARAMETERS.routerL2,
      description:
        'Strength of the router’s regularisation, relative to its mean loss in nats; 0 means the one with the least loss on held-out rows.',
      defaultValue: 0,
      minimum: 0,
      maximum: 1,
      isWhole: false,
    },
    {
      name: SWITCH_PARAMETERS.rowsPerParent,
      description: 'Most training rows of each parent that the router is fitted on.',
      defaultValue: 1000,
      minimum: 20,
      maximum: 5500,
      isWhole: true,
    },
  ],
  merge: buildSwitchGraph,
};
