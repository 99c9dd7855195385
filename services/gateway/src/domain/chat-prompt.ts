import { ThalamusError } from '@thalamus/errors';
import { textOf } from './chat-context.js';

/** A message as OpenAI clients send it; only its text is read. */
interface Message {
  readonly role?: unknown;
  readonly content?: unknown;
}

/**
 * What an answer is asked of: the text of the last message of the user, which may be empty, as OpenAI has it.
 * @throws REQUEST_INVALID when there is no message of a user
 */
export function promptOfMessages(messages: readonly unknown[]): string {
  const last = lastUserIndex(messages);
  if (last < 0) throw nothingToRouteBy();
  return textOf(messages[last] as Message);
}

/** Refuses messages without any text. */
export function nothingToRouteBy(): ThalamusError {
  return new ThalamusError(
    'REQUEST_INVALID',
    'messages holds no text of a user, so there is nothing to route by.',
    {
      violations: [{ field: 'messages', description: 'needs a message of the role user with text' }],
    },
  );
}

/** The messages with the prompt replaced: flag tags are for the router, not for the model. */
export function replacePrompt(
  messages: readonly unknown[],
  prompt: string,
  stripped: string,
): readonly unknown[] {
  if (prompt === stripped) return messages;
  const last = lastUserIndex(messages);
  return messages.map((message, index) => {
    if (index !== last) return message;
    const { content } = message as Message;
    const parts = Array.isArray(content)
      ? (content as { type?: unknown }[]).filter(({ type }) => type !== 'text')
      : [];
    return {
      ...(message as object),
      content: Array.isArray(content) ? [{ type: 'text', text: stripped }, ...parts] : stripped,
    };
  });
}

function lastUserIndex(messages: readonly unknown[]): number {
  return messages.findLastIndex((message) => (message as Message | null)?.role === 'user');
}
