import { z } from 'zod';
import { flagsField } from './bodies.js';

const MAX_MESSAGES = 1_024;
const any = () => z.unknown().optional().describe('Passed on to the model.');

const number = (low: number, high: number) =>
  z
    .number()
    .min(low, `must be at least ${low}`)
    .max(high, `must be at most ${high}`)
    .nullable()
    .optional()
    .describe(`${low} to ${high}. Passed on to the model.`);
const whole = (low: number, high = Number.MAX_SAFE_INTEGER) =>
  z
    .int('must be a whole number')
    .min(low, `must be at least ${low}`)
    .max(high, `must be at most ${high}`)
    .nullable()
    .optional()
    .describe('Passed on to the model.');
const flag = () => z.boolean().nullable().optional().describe('Passed on to the model.');
const text = () => z.string().nullable().optional().describe('Passed on to the model.');

/** Parameters that OpenAI documents, in the ranges that it documents; handed to the upstream as they are. */
const passedThrough = {
  frequency_penalty: number(-2, 2),
  logit_bias: z
    .record(z.string(), z.number().min(-100, 'must be at least -100').max(100, 'must be at most 100'))
    .nullable()
    .optional()
    .describe('-100 to 100 by token. Passed on to the model.'),
  max_tokens: whole(1),
  n: whole(1, 128),
  presence_penalty: number(-2, 2),
  seed: whole(Number.MIN_SAFE_INTEGER),
  stop: z
    .union([z.string(), z.array(z.string()).max(4, 'must have at most 4')])
    .nullable()
    .optional()
    .describe('One, or up to 4. Passed on to the model.'),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullable().optional(),
  temperature: number(0, 2),
  top_p: number(0, 1),
  user: text(),
};

const ours = {
  model: z.string().max(512).describe('auto, auto:size=0.5, a chat model or model@version.'),
  stream: z.boolean().nullable().optional(),
  thalamus: z
    .strictObject({
      flags: flagsField.optional(),
      decision: z
        .boolean()
        .default(false)
        .describe('Return why the expert was chosen, and what the answer cost in USD.'),
      current_expert: z
        .string()
        .min(1, 'must not be empty')
        .max(128)
        .optional()
        .describe(
          'Who has answered the conversation so far: it stays with that expert unless another is clearly better. Default: whom this gateway remembers.',
        ),
    })
    .optional(),
};

/** Body of POST /v1/chat/completions, as OpenAI has it. */
export const chatBody = z
  .strictObject({
    ...ours,
    ...passedThrough,
    messages: z
      .array(z.looseObject({ role: z.string() }))
      .min(1, 'must not be empty')
      .max(MAX_MESSAGES),
    audio: any(),
    function_call: any(),
    functions: any(),
    logprobs: flag(),
    max_completion_tokens: whole(1),
    metadata: any(),
    modalities: any(),
    parallel_tool_calls: flag(),
    prediction: any(),
    prompt_cache_key: any(),
    reasoning_effort: any(),
    response_format: any(),
    safety_identifier: any(),
    service_tier: any(),
    store: flag(),
    tool_choice: any(),
    tools: z
      .array(z.unknown())
      .max(128, 'must have at most 128')
      .nullable()
      .optional()
      .describe('At most 128. Passed on to the model.'),
    top_logprobs: whole(0, 20),
    verbosity: any(),
    web_search_options: any(),
  })
  .meta({ title: 'ChatCompletionRequest' });

/** Body of POST /v1/completions, as OpenAI has it, with one prompt. */
export const completionBody = z
  .strictObject({
    ...ours,
    ...passedThrough,
    prompt: z.string().min(1, 'must not be empty'),
    best_of: whole(1, 20),
    echo: flag(),
    logprobs: whole(0, 5),
    suffix: text(),
  })
  .meta({ title: 'CompletionRequest' });
