import { ApiError, faultOf, send } from './client.js';
import { eventsOf } from './events.js';

/** Tokens of a request and its answer, as the model counted them. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** What comes back of a chat request, in the order of coming. */
export type ChatEvent =
  | {
      readonly kind: 'started';
      readonly expert: string;
      readonly version: string;
      /** The router model and what it predicts of the expert; empty when no one decided. */
      readonly decision: string;
      readonly requestId: string;
    }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'usage'; readonly usage: Usage }
  | { readonly kind: 'cost'; readonly costUsd: number };

/** A chunk as OpenAI has it, or the last event, which tells the decision and the cost. */
interface Chunk {
  readonly object?: string;
  readonly costUsd?: number;
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null;
  readonly error?: { readonly code?: string | null; readonly message?: string };
}

/**
 * Asks a question and yields the answer as it comes.
 *
 * @throws ApiError when the gateway refuses, or tells of a failure in mid-answer; AbortError when `signal` fires
 */
export async function* streamChat(
  request: { readonly prompt: string; readonly model: string },
  signal: AbortSignal,
): AsyncGenerator<ChatEvent> {
  const response = await send('/v1/chat/completions', {
    method: 'POST',
    signal,
    body: {
      model: request.model,
      stream: true,
      stream_options: { include_usage: true },
      thalamus: { decision: true },
      messages: [{ role: 'user', content: request.prompt }],
    },
  });
  const header = (name: string) => response.headers.get(name) ?? '';
  yield {
    kind: 'started',
    expert: header('x-thalamus-expert'),
    version: header('x-thalamus-version'),
    decision: header('x-thalamus-decision'),
    requestId: header('x-request-id'),
  };
  let ended = false;
  try {
    for await (const data of eventsOf(response.body ?? new ReadableStream())) {
      if (data === '[DONE]') ended = true;
      else yield* chunkEvents(data);
    }
  } catch (fault) {
    throw fault instanceof ApiError ? fault : faultOf(fault);
  }
  if (!ended)
    throw new ApiError(
      502,
      'UPSTREAM_ERROR',
      'The answer broke off before its end. Ask again for all of it.',
    );
}

function* chunkEvents(data: string): Generator<ChatEvent> {
  const { object, costUsd, choices, usage, error } = parse(data);
  if (error)
    throw new ApiError(502, error.code ?? 'UPSTREAM_ERROR', error.message ?? 'The answer broke off.');
  const text = choices?.[0]?.delta?.content;
  if (typeof text === 'string' && text !== '') yield { kind: 'text', text };
  if (object === 'thalamus.decision' && costUsd !== undefined) yield { kind: 'cost', costUsd };
  if (usage)
    yield {
      kind: 'usage',
      usage: { promptTokens: usage.prompt_tokens ?? 0, completionTokens: usage.completion_tokens ?? 0 },
    };
}

function parse(data: string): Chunk {
  try {
    return JSON.parse(data) as Chunk;
  } catch {
    throw new ApiError(502, 'UPSTREAM_ERROR', 'The answer broke off: a part of it is unreadable.');
  }
}
