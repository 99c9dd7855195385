import { FLAG_NAMES, parseFlags, type Flag } from '@thalamus/routing';
import { z } from 'zod';

/** Longest text of a request, in characters; the body limit refuses earlier what is larger in bytes. */
export const MAX_TEXT_CHARACTERS = 262_144;
/** Most texts of a request. */
export const MAX_TEXTS = 64;

const text = z
  .string()
  .min(1, 'must not be empty')
  .max(MAX_TEXT_CHARACTERS, `must have at most ${MAX_TEXT_CHARACTERS} characters`)
  .refine((value) => value.trim() !== '', 'must hold more than white space');

const texts = z
  .union([
    text,
    z.array(text).min(1, 'must not be empty').max(MAX_TEXTS, `must have at most ${MAX_TEXTS} texts`),
  ])
  .describe(`A text, or up to ${MAX_TEXTS} texts.`);

const flags = z
  .union([z.string(), z.record(z.string(), z.union([z.number(), z.string()]))])
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
    flags: flags.optional(),
    thalamus: z
      .strictObject({ decision: z.boolean().default(false).describe('Return why the expert was chosen.') })
      .optional(),
    user: z.string().max(256).optional().describe('Accepted for OpenAI clients; not used.'),
  })
  .meta({ id: 'ClassificationRequest' });

/** Body of POST /v1/embeddings, as OpenAI has it. */
export const embeddingBody = z
  .strictObject({
    input: texts,
    model: model.describe('A feature-extraction expert or expert@version; there is no auto.'),
    encoding_format: z.enum(['float', 'base64']).default('float'),
    user: z.string().max(256).optional().describe('Accepted for OpenAI clients; not used.'),
  })
  .meta({ id: 'EmbeddingRequest' });

/** Body of POST /v1/route. */
export const routeBody = z
  .strictObject({
    input: text,
    task: z.enum(['text-classification', 'fill-mask', 'text-generation']).default('text-classification'),
    flags: flags.optional(),
    top_k: z.int().min(1).max(256).default(8).describe('Experts to return, best first.'),
  })
  .meta({ id: 'RouteRequest' });

/** Body of POST /v1/feedback. */
export const feedbackBody = z
  .strictObject({
    request_id: z.string().min(1, 'must not be empty').max(128),
    score: z.number().min(0).max(1).optional().describe('Quality from 0 (wrong) to 1 (right).'),
    label: z.string().min(1).max(512).optional().describe('The right label, when known.'),
  })
  .refine(({ score, label }) => score !== undefined || label !== undefined, {
    message: 'needs a score or a label',
    path: ['score'],
  })
  .meta({ id: 'FeedbackRequest' });

/** Flags of a body: text or object. @throws FLAG_INVALID */
export function flagsOf(value: string | Record<string, number | string> | undefined): Flag[] {
  if (value === undefined) return [];
  if (typeof value === 'string') return parseFlags(value);
  return parseFlags(
    Object.entries(value)
      .map(([name, wish]) => `${name}${/^[<>]/.test(String(wish)) ? '' : '='}${wish}`)
      .join(','),
  );
}
