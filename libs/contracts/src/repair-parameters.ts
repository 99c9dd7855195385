import { z } from 'zod';
import { ignoredColumns, reference, seed } from './job-fields.js';
import { DEFAULT_REPAIR_METHOD, hyperParameterShape, REPAIR_METHODS } from './training-parameters.js';

/** Fewest rows of a repair: fewer leave next to nothing to choose a pass by, and to judge with. */
export const MIN_REPAIR_ROWS = 40;

/**
 * Parameters of a `repair` job: trains the new version on, with both versions as teachers, so that it keeps what the old one had right.
 * The result is a bundle that nothing is registered as. Rank and alpha are those of the new version.
 */
export const repairParametersSchema = z
  .strictObject({
    /** Registered version that callers have, name@version: what it has right is to be kept. */
    from: reference,
    /** Registered version that is repaired, name@version: a low-rank expert with the same labels. */
    to: reference,
    /** Registered data set, name@version, that neither version was trained on: CSV with the columns text and label. */
    dataset: reference,
    /** Registered data set that the result is judged and compared on; without it a part of `dataset` is held out. */
    testDataset: reference.optional(),
    /** What a row teaches. */
    method: z
      .enum(REPAIR_METHODS, `must be one of ${REPAIR_METHODS.join(', ')}`)
      .default(DEFAULT_REPAIR_METHOD),
    ...hyperParameterShape,
    /** Chooses which rows are held out and the order of training: the same seed, rows and machine give the same weights. */
    seed,
    /** What the expert is good at; default: that of the new version. */
    description: z.string().min(1).max(2_000).optional(),
    /** Columns of the data that are left alone; any other unknown column is refused. */
    ignoredColumns,
  })
  .omit({ rank: true, alpha: true });

/** Parameters of a `repair` job. */
export type RepairParameters = z.infer<typeof repairParametersSchema>;
