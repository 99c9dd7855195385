import { compositionReportSchema } from '@thalamus/bundle';
import { z } from 'zod';

const share = z.number().nullable();

const parent = z.object({
  name: z.string().describe('hidden-1 and so on for one that the caller may not use.'),
  version: z.string(),
  kind: z
    .string()
    .nullable()
    .describe('full, probe or lowrank; null for one that is hidden, or not registered any more.'),
  sizeBytes: z.int().nullable().describe('Bytes of its own bundle; null as kind.'),
  n: z
    .int()
    .describe('Rows, or hidden word pieces, that it was judged on; 0: none, and the figures are null.'),
  parentAccuracy: share.describe('Share that the parent alone gets right; null for fill-mask.'),
  accuracy: share.describe('Share that the composition gets right; null for fill-mask.'),
  parentNats: share.describe('Loss of the parent alone, nats a hidden word piece; of fill-mask alone.'),
  nats: share.describe('Loss of the composition, nats a hidden word piece; of fill-mask alone.'),
  normalized: share.describe('accuracy / parentAccuracy, or exp(parentNats - nats).'),
  routedHere: share.describe('Share of its rows that the router gives to it; null in lists.'),
});

const composition = z.object({
  name: z.string(),
  version: z.string(),
  task: z.string(),
  stable: z.boolean().describe('Whether it answers for its name.'),
  method: z.string().nullable().describe('Merge method; null where neither registry nor bundle says.'),
  recipeDigest: z.string().nullable().describe('Null for a bundle that was composed elsewhere.'),
  parents: z.array(parent).describe('In the order of the output router_weights.'),
  hidden: z.int().describe('How many of them the caller may not use.'),
  normalized: share.describe("Mean of the parents' normalized."),
  routerAccuracy: share.describe("Share of the parents' rows that the router gives to their own parent."),
  sizeBytes: z.int().describe('Bytes of its bundle.'),
  createdAt: z.iso.datetime().nullable(),
  expiresAt: z.iso.datetime().nullable().describe('When it ends unless it is used; null: never.'),
});

/** Shapes of the answers about compositions. */
export const compositionAnswers = {
  compositions: z.object({ object: z.literal('list'), data: z.array(composition).describe('Newest first.') }),
  composition: composition.extend({
    object: z.literal('composition'),
    seed: z.int().nullable(),
    codeVersion: z.string().nullable().describe('What made it.'),
    recipe: z
      .string()
      .nullable()
      .describe('As its manifest has it; null where that is hidden, or says none.'),
    report: compositionReportSchema
      .nullable()
      .describe(
        'composition.json of its bundle, as docs/reference/manifest.md has it; null where it holds none.',
      ),
  }),
} as const;
