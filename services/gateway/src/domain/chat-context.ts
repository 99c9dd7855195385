import { MAX_PROMPT_BYTES } from '@thalamus/contracts';

/** A message as OpenAI clients send it; only role and text are read. */
interface Message {
  readonly role?: unknown;
  readonly content?: unknown;
}

/** Letters of the system's text, of the names of tools, of one earlier turn, and of all earlier turns, at the most. */
const MAX_SYSTEM = 500;
const MAX_TOOLS = 300;
const MAX_TURN = 300;
const MAX_TURNS = 1_200;
/** Earlier turns that are read, the newest first. */
const TURNS = 8;

/** What was said before the last message of the user, and with which tools: what the router reads besides. Bounded. */
export interface ChatContext {
  /** Lines for the router; empty when there is nothing but one message of the user. */
  readonly lines: readonly string[];
  /** True when the conversation has had an answer. */
  readonly isContinued: boolean;
  /** What stays the same as the conversation goes on: everything up to the first message of the user. */
  readonly opening: string;
}

/** The context of a message list and its tools. Text that is longer than its bound loses its end. */
export function contextOfChat(messages: readonly unknown[], tools: readonly unknown[]): ChatContext {
  const list = messages.filter((item): item is Message => typeof item === 'object' && item !== null);
  const last = list.findLastIndex(({ role }) => role === 'user');
  const first = list.findIndex(({ role }) => role === 'user');
  const system = list
    .filter(({ role }) => role === 'system' || role === 'developer')
    .map(textOf)
    .join('\n');
  const names = tools.map(nameOfTool).filter((name) => name !== '');
  return {
    lines: [
      ...line('system', system, MAX_SYSTEM),
      ...line('tools', names.join(', '), MAX_TOOLS),
      ...turnsBefore(list, last),
    ],
    isContinued: list.some(({ role }) => role === 'assistant'),
    opening: JSON.stringify(list.slice(0, first + 1).map(({ role, content }) => [role, content])),
  };
}

/**
 * What the router reads of a conversation: the last message of the user, whose flag tags are taken off already, first, for it must
 * not be cut; then what was before. It neither begins nor ends with words of a message: a tag in one of them stays text.
 * Lines that a prompt has no room for are left out, the last first; undefined when that is all of them.
 */
export function routedText(
  prompt: string,
  lines: readonly string[],
  mostBytes = MAX_PROMPT_BYTES,
): string | undefined {
  const around = ['user: ', prompt, '\n\n<context>\n', '</context>'];
  let left = around.reduce((bytes, part) => bytes - Buffer.byteLength(part), mostBytes);
  const end = lines.findIndex((text) => (left -= Buffer.byteLength(text) + 1) < 0);
  const kept = end < 0 ? lines : lines.slice(0, end);
  return kept.length === 0 ? undefined : `user: ${prompt}\n\n<context>\n${kept.join('\n')}\n</context>`;
}

/** The newest turns before the last message of the user, the oldest of them first. */
function turnsBefore(list: readonly Message[], last: number): string[] {
  const turns: string[] = [];
  let left = MAX_TURNS;
  for (const message of list.slice(0, Math.max(0, last)).reverse()) {
    if (message.role !== 'user' && message.role !== 'assistant') continue;
    const [turn] = line(message.role, textOf(message), Math.min(MAX_TURN, left));
    if (turn === undefined) continue;
    turns.unshift(turn);
    left -= turn.length;
    if (turns.length >= TURNS || left <= 0) break;
  }
  return turns;
}

function line(role: string, text: string, most: number): string[] {
  const short = text.replace(/\s+/g, ' ').trim().slice(0, most);
  return short === '' ? [] : [`${role}: ${short}`];
}

function nameOfTool(tool: unknown): string {
  const { function: called } = (tool ?? {}) as { function?: { name?: unknown } };
  return typeof called?.name === 'string' ? called.name : '';
}

/** Text of a message, its parts joined; empty for one without. */
export function textOf({ content }: Message): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return (content as { type?: unknown; text?: unknown }[])
    .filter(({ type, text }) => type === 'text' && typeof text === 'string')
    .map(({ text }) => text as string)
    .join('\n');
}
