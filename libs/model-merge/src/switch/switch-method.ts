import { z } from 'zod';
import { CLASSIFICATION, type CompositionMethod } from '../composition-method.js';

/** Parameters of `switch`. */
export const switchParameters = z.strictObject({
  router_l2: z
    .number('must be 0 to 1')
    .min(0, 'must be 0 to 1')
    .max(1, 'must be 0 to 1')
    .default(0)
    .describe(
      'Strength of the router’s regularisation, relative to its mean loss in nats; 0 means the one with the least loss on held-out rows.',
    ),
  rows_per_parent: z
    .number('must be 20 to 5500')
    .int('must be a whole number')
    .min(20, 'must be 20 to 5500')
    .max(5500, 'must be 20 to 5500')
    .default(1000)
    .describe('Most training rows of each parent that the router is fitted on.'),
});

/** One graph in which a router lets one parent answer each text, exactly as it does alone. */
export const SWITCH: CompositionMethod = {
  name: 'switch',
  reference:
    'Twin-Merging, arXiv 2406.15479, with one-hot weights, the base as shared expert, and exclusive vectors of full rank: the hard routing that it is measured against',
  chooses: 'parent',
  tasks: [CLASSIFICATION],
  parentKinds: ['probe', 'lowrank'],
  minParents: 2,
  maxParents: 64,
  base: 'optional',
  dataTypes: [],
  shared: switchParameters.shape,
  perModel: {},
};
