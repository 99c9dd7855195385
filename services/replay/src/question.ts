import { ThalamusError } from '@thalamus/errors';
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';

const MAX_BODY_BYTES = 1_048_576;

const common = {
  model: z.string(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
};
const chatSchema = z.looseObject({
  ...common,
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })).min(1),
});
const completionSchema = z.looseObject({ ...common, prompt: z.string() });

/** The two forms in which OpenAI's clients ask. */
export type Operation = 'chat' | 'completion';

/** What is asked, in either form. */
export interface Question {
  readonly operation: Operation;
  readonly model: string;
  readonly prompt: string;
  readonly stream: boolean;
  readonly withUsage: boolean;
}

/** Reads a question from the body of a request. @throws REQUEST_INVALID, REQUEST_TOO_LARGE */
export async function readQuestion(request: IncomingMessage, operation: Operation): Promise<Question> {
  const value = parse(await readText(request));
  const [body, prompt] =
    operation === 'chat'
      ? withPrompt(valid(chatSchema, value), ({ messages }) => lastOfUser(messages))
      : withPrompt(valid(completionSchema, value), (own) => own.prompt);
  const { model, stream, stream_options: options } = body;
  return { operation, model, prompt, stream: stream === true, withUsage: options?.include_usage === true };
}

function withPrompt<T>(body: T, promptOf: (body: T) => string): [T, string] {
  return [body, promptOf(body)];
}

/** The text of the last message of the user. */
function lastOfUser(messages: readonly { readonly role: string; readonly content?: unknown }[]): string {
  const content = messages.findLast(({ role }) => role === 'user')?.content;
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return (content as ({ type?: string; text?: string } | null)[])
    .filter((part) => part?.type === 'text')
    .map((part) => part?.text ?? '')
    .join('\n');
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES)
      throw new ThalamusError('REQUEST_TOO_LARGE', 'The body is larger than 1 MiB.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function valid<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw new ThalamusError(
    'REQUEST_INVALID',
    `The body is not valid: ${field && `${field}: `}${issue?.message ?? ''}.`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new ThalamusError('REQUEST_INVALID', 'The body is not JSON.');
  }
}
