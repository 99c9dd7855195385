import { ThalamusError } from '@thalamus/errors';
import { FLAG_NAMES, isFlagName, parseFlags, type Flag } from '@thalamus/routing';
import { z } from 'zod';
import { ANSWERED_ID, REQUEST_ID_RULE } from '../../domain/request-id.js';
import { MAX_TEXT_CHARACTERS } from '../../domain/texts.js';

/** Most texts of a request. */
export const MAX_TEXTS = 64;

const text = z
  .string('must be a text')
  .min(1, 'must not be empty')
  .max(MAX_TEXT_CHARACTERS, `must have at most ${MAX_TEXT_CHARACTERS} characters`)
  .refine((value) => value.trim() !== '', 'must hold more than white space');

const texts = z
  .union(
    [text, z.array(text).min(1, 'must not be empty').max(MAX_TEXTS, `must have at most ${MAX_TEXTS} texts`)],
    'must be a text or a list of texts',
  )
  .describe(`A text, or up to ${MAX_TEXTS} texts.`);

/** Flags in a body: text or object. */
export const flagsField = z
  .union(
    [
      z.string(),
      z.record(
        z.string(),
        z.union([z.number(), z.string()], 'must be a number or a text such as "high" or "<5"'),
      ),
    ],
    'must be a text or an object',
  )
  .describe(
    `Wishes and limits of the routing, as text ("size=0.5, latency=high") or object ({"size": 0.5}). Names: ${FLAG_NAMES.join(', ')}.`,
  );

const model = z.string().max(512).describe('auto, auto:size=0.5, an expert, expert@version, or compose:a+b.');

/** Body of POST /v1/classifications. */
export const classificationBody = z
  .strictObject({
    input: texts,
    model: model.default('auto'),
    top: z.int().min(1).max(1000).default(5).describe('Labels to return, best first.'),
    flags: flagsField.optional(),
    thalamus: z
      .strictObject({
        decision: z.boolean().default(false).describe('Return why the expert was chosen.'),
        flags: flagsField
          .optional()
          .describe('As flags of the body, for clients that keep extensions together.'),
      })
      .optional(),
    user: z.string().max(256).optional().describe('Accepted for OpenAI clients; not used.'),
  })
  .meta({ title: 'ClassificationRequest' });

/** Body of POST /v1/embeddings, as OpenAI has it. */
export const embeddingBody = z
  .strictObject({
    input: texts,
    model: model.describe('A feature-extraction expert or expert@version; there is no auto.'),
    encoding_format: z.enum(['float', 'base64']).default('float'),
    user: z.string().max(256).optional().describe('Accepted for OpenAI clients; not used.'),
  })
  .meta({ title: 'EmbeddingRequest' });

/** A bound on the quality that may be lost. */
export const riskField = z.strictObject({
  alpha: z.number().min(0).describe('Largest mean loss beyond the best single expert, in its loss unit.'),
  delta: z.number().gt(0).lt(1).describe('Probability with which that may fail.'),
});

/** Body of POST /v1/route. */
export const routeBody = z
  .strictObject({
    input: text,
    model: z
      .string()
      .max(512)
      .default('auto')
      .describe(
        'auto, auto:size=0.5, or compose:a+b: only these experts are ranked, and nothing is composed.',
      ),
    task: z.enum(['text-classification', 'fill-mask', 'text-generation']).default('text-classification'),
    flags: flagsField.optional(),
    top_k: z.int().min(1).max(256).default(8).describe('Experts to return, best first.'),
    risk: riskField
      .optional()
      .describe('The cheapest expert within this bound comes first; no looser than that of the policy.'),
  })
  .meta({ title: 'RouteRequest' });

/** Body of POST /v1/feedback. */
export const feedbackBody = z
  .strictObject({
    request_id: z.string().regex(ANSWERED_ID, REQUEST_ID_RULE),
    score: z.number().min(0).max(1).optional().describe('Quality from 0 (wrong) to 1 (right).'),
    label: z.string().min(1).max(512).optional().describe('The right label, when known.'),
  })
  .refine(({ score, label }) => score !== undefined || label !== undefined, {
    message: 'needs a score or a label',
    path: ['score'],
  })
  .meta({ title: 'FeedbackRequest' });

type FlagsField = z.output<typeof flagsField> | undefined;

/** Flags of a body, as text or object, from one of their two places. @throws FLAG_INVALID, REQUEST_INVALID for both */
export function flagsOf(value: FlagsField, nested?: FlagsField): Flag[] {
  if (value !== undefined && nested !== undefined)
    throw new ThalamusError('REQUEST_INVALID', 'flags and thalamus.flags are both given; send one.', {
      violations: [{ field: 'thalamus.flags', description: 'is given beside flags' }],
    });
  const given = value ?? nested;
  if (given === undefined) return [];
  if (typeof given === 'string') return parseFlags(given);
  return Object.entries(given).flatMap(([name, wish]) => parseEntry(name, String(wish).trim()));
}

function parseEntry(name: string, wish: string): Flag[] {
  // A name or a value with a comma in it would be read as several flags.
  if (!isFlagName(name)) throw invalidFlag(name, `it is unknown; known are ${FLAG_NAMES.join(', ')}`);
  if (wish.includes(',')) throw invalidFlag(name, 'its value is no number, level or limit');
  return parseFlags(`${name}${/^[<>]/.test(wish) ? '' : '='}${wish}`);
}

function invalidFlag(name: string, reason: string): ThalamusError {
  const named = name.slice(0, 40);
  return new ThalamusError('FLAG_INVALID', `Flag "${named}": ${reason}.`, {
    violations: [{ field: `flags.${named}`, description: reason }],
  });
}
