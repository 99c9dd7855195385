import { z } from 'zod';
import { MEASURES, type Measure } from './measures.js';

const MAX_RULES = 100;
const name = z.string().min(1).max(100);

const rule = z.strictObject({
  name,
  measure: z.enum(Object.keys(MEASURES) as [Measure, ...Measure[]]),
  /** What the figure is of: `all` items, `each` slice, those whose name begins as in `label=*`, or one slice. */
  slice: z.string().min(1).max(300).default('all'),
  threshold: z.number(),
  /** Which evidence it looks at: offline, shadow, canary, probes, contract, router, or a data set by name. */
  data: name,
  /**
   * `safe`: passes when the whole interval is good, fails when all of it is bad, else it is inconclusive. `harm`: fails when harm is shown, among
   * all slices that are looked at, and passes otherwise.
   */
  proof: z.enum(['safe', 'harm']).default('safe'),
  minimumSamples: z.number().int().nonnegative().default(0),
  /** Chance of failing an update that keeps the threshold; that of the document when absent. */
  level: z.number().gt(0).lt(1).optional(),
  /** So many different people can pass it together when it is inconclusive; 0: nobody can. */
  approvals: z.number().int().nonnegative().max(100).default(0),
});

/** Schema of a gate: rules that an update must pass. Unknown fields are errors. */
export const gateSchema = z
  .strictObject({
    version: z.literal(1),
    name,
    description: z.string().max(2000).optional(),
    level: z.number().gt(0).lt(1).default(0.05),
    rules: z.array(rule).min(1).max(MAX_RULES),
  })
  .superRefine(({ rules }, context) => {
    rules.forEach((own, at) => {
      const issue = (field: string, message: string) =>
        context.addIssue({ code: 'custom', path: ['rules', at, field], message });
      if (rules.findIndex((other) => other.name === own.name) !== at)
        issue('name', 'is the name of a rule before');
      const { from } = MEASURES[own.measure];
      if (from !== 'share' && own.slice !== 'all') issue('slice', `is for ${SHARES.join(', ')} only`);
      if (from === 'share' && !(own.threshold >= 0 && own.threshold <= 1))
        issue('threshold', 'must be a share from 0 to 1');
    });
  });

const SHARES = Object.entries(MEASURES).flatMap(([measure, { from }]) => (from === 'share' ? [measure] : []));

/** Rules that an update must pass. */
export type GateDocument = z.infer<typeof gateSchema>;

/** One of them. */
export type GateRule = GateDocument['rules'][number];
