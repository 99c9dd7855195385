import { z } from 'zod';

/** Body of what moves a release by hand. */
export const reasonBody = z
  .strictObject({
    reason: z
      .string()
      .max(500)
      .refine((text) => text.trim() !== '', 'must say why')
      .describe('Why; kept with the release and in the audit.'),
  })
  .meta({ title: 'Reason' });

/** A parameter of a job. */
export const jobParameter = z.union([
  z.string().max(2_000),
  z.number(),
  z.boolean(),
  z.array(z.string().max(200)).max(64),
]);

/** Body of what has a candidate repaired. */
export const repairBody = z
  .strictObject({
    dataset: z
      .string()
      .max(100)
      .describe('Registered data set, name@version, that neither version was trained on.'),
    parameters: z
      .record(z.string().max(64), jobParameter)
      .default({})
      .describe('Others of the job `repair`, such as testDataset, method, seed, epochs.'),
  })
  .meta({ title: 'Repair' });

/** Query of GET /admin/v1/releases. */
export const releasesQuery = z.strictObject({
  expert: z.string().min(1, 'must not be empty').max(63).optional(),
  limit: z.coerce.number('must be a number').int().min(1).max(100).default(20),
  after: z.string().max(200).default(''),
});

/** Query of GET /admin/v1/releases/{id}/flips. */
export const flipsQuery = z.strictObject({
  limit: z.coerce.number('must be a number').int().min(1).max(10_000).default(100),
});
