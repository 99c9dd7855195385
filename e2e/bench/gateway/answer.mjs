/** What the upstream of the bench always says, and what every answer is held against. */
export const ANSWER =
  'Ninety-six potatoes are sixteen times six potatoes, and sixteen times thirty-six is five hundred and seventy-six hash browns.';

/** The same in the pieces that it is streamed in. */
export const PIECES = ANSWER.match(/\S+\s*/g) ?? [];

const HEAD = { id: 'chatcmpl-bench', created: 1_760_000_000, model: 'bench' };
const USAGE = {
  prompt_tokens: 24,
  completion_tokens: PIECES.length,
  total_tokens: 24 + PIECES.length,
};

/** The whole answer as OpenAI has it. */
export const WHOLE = JSON.stringify({
  ...HEAD,
  object: 'chat.completion',
  choices: [
    { index: 0, message: { role: 'assistant', content: ANSWER }, finish_reason: 'stop', logprobs: null },
  ],
  usage: USAGE,
});

/** The streamed answer, event by event. */
export const EVENTS = [
  chunk({ delta: { role: 'assistant', content: '' } }),
  ...PIECES.map((content) => chunk({ delta: { content } })),
  chunk({ delta: {} }, 'stop'),
].map((data) => `data: ${JSON.stringify(data)}\n\n`);

/** The event that tells the usage, for who asked for it. */
export const USAGE_EVENT = `data: ${JSON.stringify({ ...HEAD, object: 'chat.completion.chunk', choices: [], usage: USAGE })}\n\n`;

function chunk(part, reason = null) {
  const choices = [{ index: 0, ...part, finish_reason: reason, logprobs: null }];
  return { ...HEAD, object: 'chat.completion.chunk', choices };
}

/** Undefined when a body is the whole answer; else what is wrong with it. */
export function faultOfWhole(status, text) {
  if (status !== 200) return `status ${status}`;
  try {
    return JSON.parse(text).choices[0].message.content === ANSWER ? undefined : 'other content';
  } catch {
    return 'not JSON';
  }
}

/** Undefined when a body is the streamed answer to its end; else what is wrong with it. */
export function faultOfStream(status, text) {
  if (status !== 200) return `status ${status}`;
  const events = text.split('\n\n').filter((event) => event.startsWith('data: '));
  if (events.pop() !== 'data: [DONE]') return 'no [DONE]';
  try {
    const said = events
      .map((event) => JSON.parse(event.slice('data: '.length)).choices[0]?.delta.content ?? '')
      .join('');
    return said === ANSWER ? undefined : 'other content';
  } catch {
    return 'not JSON';
  }
}
