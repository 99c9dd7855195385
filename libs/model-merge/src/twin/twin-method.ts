import { z } from 'zod';
import {
  CLASSIFICATION,
  MASKED_LM,
  type CompositionMethod,
  type ParameterFault,
} from '../composition-method.js';
import { INFORMATION_DEFAULTS, informationParameters } from '../static/information-parameters.js';
import { PARAMETER_DESCRIPTIONS } from '../static/parameter-descriptions.js';
import { staticMethod } from '../static/static-methods.js';
import type { RankRule } from './choose-ranks.js';

const whole = (least: number, most: number) => {
  const range = `must be a whole number, ${least} to ${most}`;
  return z.number(range).int(range).min(least, range).max(most, range);
};
const share = (least: string, positive: boolean) => {
  const range = `must be ${least} to 1`;
  const number = z.number(range).max(1, range);
  return positive ? number.gt(0, range) : number.min(0, range);
};

/** Static merges that can give the shared expert. */
const SHARED = [
  'task_arithmetic',
  'linear',
  'ties',
  'dare_linear',
  'dare_ties',
  'breadcrumbs',
  'pcb',
  'fisher',
] as const;

const ofFisher = (name: keyof typeof informationParameters.shape, standard: number) =>
  informationParameters.shape[name]
    .unwrap()
    .optional()
    .describe(`With shared: fisher. ${PARAMETER_DESCRIPTIONS[name] ?? ''} Default ${standard}.`);
const measuredOnly = {
  information_rows: ofFisher('information_rows', INFORMATION_DEFAULTS.rows),
  information_labels: ofFisher('information_labels', INFORMATION_DEFAULTS.labels),
};

/** Parameters of `twin`. */
export const twinParameters = z.strictObject({
  shared: z
    .enum(SHARED, `must be ${SHARED.join(', ')}`)
    .default('task_arithmetic')
    .describe('Static merge that gives the shared expert.'),
  shared_weight: z
    .number('must be a finite number')
    .default(0.3)
    .describe('Weight of every parent in that merge (gamma of the paper), without unit.'),
  shared_density: share('0', false)
    .optional()
    .describe('Share of each task vector that the merge keeps, for merges that take one; default: theirs.'),
  shared_lambda: z
    .number('must be a finite number')
    .optional()
    .describe('Factor of the merged task vector, for merges that take one; default: theirs.'),
  ...measuredOnly,
  rank_fraction: share('more than 0', true)
    .optional()
    .describe(
      'Rank of exclusive vectors as a share of the smaller side of each matrix. Default 0.1 unless another rule is given.',
    ),
  rank: whole(1, 4096).optional().describe('Rank of the exclusive vector of every matrix.'),
  rank_energy: share('more than 0', true)
    .optional()
    .describe(
      'Least rank of each matrix that keeps this share of its energy, the sum of squared singular values.',
    ),
  rank_bytes: whole(1024, 2 ** 40)
    .optional()
    .describe('Bytes for the factors of all parents, spent where they keep most energy.'),
  passes: whole(1, 2)
    .default(1)
    .describe(
      '1: the router reads tokens alone. 2: it reads the vector of the shared expert too, and the encoder is run twice.',
    ),
  top: whole(0, 64)
    .default(2)
    .describe(
      'Most parents whose weights a text mixes; 0: all. The cost of a text does not grow with the parents when it is not 0.',
    ),
  groups: whole(0, 1024)
    .default(0)
    .describe('Weight vectors that texts share (group-wise merging); 0: every text has its own.'),
  rows_per_parent: whole(20, 100_000)
    .default(5500)
    .describe('Most training rows of each parent that the router is fitted on.'),
  coverage: share('0', false)
    .default(0.98)
    .describe(
      'Share of the validation rows that are covered; below the largest weight of the rest, abstain is true.',
    ),
});

/** Checked parameters of `twin`. */
export type TwinParameters = z.output<typeof twinParameters>;

const RANK_RULES = ['rank_fraction', 'rank', 'rank_energy', 'rank_bytes'] as const;
/** The paper's: 90 % of the rank is dropped. */
const DEFAULT_FRACTION = 0.1;

/** Parameters that do not go together: two rules of rank, or what the shared expert's merge does not take. */
export function twinFaults(parameters: TwinParameters): readonly ParameterFault[] {
  const [rule, ...more] = RANK_RULES.filter((name) => parameters[name] !== undefined);
  const method = staticMethod(parameters.shared);
  const isTaken = (name: string) => name in method.shared.shape || name in method.perParent.shape;
  return [
    ...more.map((name) => ({
      parameter: name,
      description: `cannot be given beside ${rule ?? ''}; choose one rule`,
    })),
    ...(['density', 'lambda'] as const)
      .filter((name) => parameters[`shared_${name}`] !== undefined && !isTaken(name))
      .map((name) => ({ parameter: `shared_${name}`, description: `is not taken by ${method.name}` })),
    ...(['information_rows', 'information_labels'] as const)
      .filter((name) => parameters[name] !== undefined && !method.needsInformation)
      .map((name) => ({
        parameter: name,
        description: `is not taken by ${method.name}, which measures none`,
      })),
  ];
}

/** How much of exclusive vectors is kept. */
export function rankRuleOf({ rank, rank_energy, rank_bytes, rank_fraction }: TwinParameters): RankRule {
  if (rank !== undefined) return { kind: 'rank', rank };
  if (rank_energy !== undefined) return { kind: 'energy', share: rank_energy };
  if (rank_bytes !== undefined) return { kind: 'bytes', bytes: rank_bytes };
  return { kind: 'fraction', fraction: rank_fraction ?? DEFAULT_FRACTION };
}

/** Twin-Merging: shared weights once, an exclusive vector of each parent in factors beside them, mixed for every text. */
export const TWIN: CompositionMethod = {
  name: 'twin',
  reference:
    'Twin-Merging, arXiv 2406.15479, sections 3.1 to 3.3; defaults: shared expert and rank of the paper, a router on tokens',
  chooses: 'weights',
  tasks: [CLASSIFICATION, MASKED_LM],
  parentKinds: ['full', 'lowrank', 'probe'],
  minParents: 2,
  maxParents: 64,
  base: 'optional',
  dataTypes: ['float32', 'float16', 'int8'],
  shared: twinParameters.shape,
  perModel: {},
  faultsOf: (values) => {
    const parsed = twinParameters.safeParse(values);
    return parsed.success ? twinFaults(parsed.data) : [];
  },
};
