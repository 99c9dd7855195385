import { z } from 'zod';
import { flagsField } from './bodies.js';

const MAX_MESSAGES = 1_024;
const any = () => z.unknown().optional().describe('Passed on to the model.');

/** Parameters that OpenAI documents and that are handed to the upstream as they are. */
const passedThrough = {
  frequency_penalty: any(),
  logit_bias: any(),
  logprobs: any(),
  max_tokens: any(),
  n: any(),
  presence_penalty: any(),
  seed: any(),
  stop: any(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullable().optional(),
  temperature: any(),
  top_p: any(),
  user: any(),
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
    max_completion_tokens: any(),
    metadata: any(),
    modalities: any(),
    parallel_tool_calls: any(),
    prediction: any(),
    prompt_cache_key: any(),
    reasoning_effort: any(),
    response_format: any(),
    safety_identifier: any(),
    service_tier: any(),
    store: any(),
    tool_choice: any(),
    tools: any(),
    top_logprobs: any(),
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
    best_of: any(),
    echo: any(),
    suffix: any(),
  })
  .meta({ title: 'CompletionRequest' });
