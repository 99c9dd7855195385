import { randomUUID } from 'node:crypto';
import { tokensOf } from './pace.js';
import type { Operation, Question } from './question.js';

/** Tokens of an answer, as OpenAI counts them. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** An answer in the form that was asked for: whole, or chunk by chunk. */
export class Answer {
  readonly usage: Usage;
  private readonly head: object;

  constructor(
    private readonly question: Question,
    private readonly text: string,
    createdAt: Date,
  ) {
    const { model, prompt, operation } = question;
    const [asked, said] = [tokensOf(prompt), tokensOf(text)];
    this.usage = { prompt_tokens: asked, completion_tokens: said, total_tokens: asked + said };
    const id = `${operation === 'chat' ? 'chatcmpl' : 'cmpl'}-${randomUUID()}`;
    this.head = { id, created: Math.floor(createdAt.getTime() / 1000), model };
  }

  /** The whole answer. */
  whole(): object {
    const { head, text, usage } = this;
    const choice =
      this.question.operation === 'chat' ? { message: { role: 'assistant', content: text } } : { text };
    const choices = [{ index: 0, ...choice, finish_reason: 'stop', logprobs: null }];
    return { ...head, object: OBJECTS[this.question.operation].whole, choices, usage };
  }

  /** The chunk before the first piece; completions have none. */
  opening(): object | undefined {
    return this.question.operation === 'chat'
      ? this.chunk({ delta: { role: 'assistant', content: '' } })
      : undefined;
  }

  /** The chunk of a piece of the text. */
  piece(text: string): object {
    return this.chunk(this.question.operation === 'chat' ? { delta: { content: text } } : { text });
  }

  /** The chunk that ends the text. */
  ending(): object {
    return this.chunk(this.question.operation === 'chat' ? { delta: {} } : { text: '' }, 'stop');
  }

  /** The chunk that tells the usage, when it was asked for. */
  accounting(): object | undefined {
    const { head, usage } = this;
    if (!this.question.withUsage) return undefined;
    return { ...head, object: OBJECTS[this.question.operation].chunk, choices: [], usage };
  }

  private chunk(part: object, reason: string | null = null): object {
    const choices = [{ index: 0, ...part, finish_reason: reason, logprobs: null }];
    return { ...this.head, object: OBJECTS[this.question.operation].chunk, choices };
  }
}

const OBJECTS: Readonly<Record<Operation, { readonly whole: string; readonly chunk: string }>> = {
  chat: { whole: 'chat.completion', chunk: 'chat.completion.chunk' },
  completion: { whole: 'text_completion', chunk: 'text_completion' },
};
