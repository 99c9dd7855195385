import { createHash } from 'node:crypto';

/** How fast a model answers. */
export interface Pace {
  /** Milliseconds to the first token. */
  readonly firstTokenMs: number;
  /** Milliseconds between tokens. */
  readonly tokenMs: number;
}

/** Usual figures of the hosted models: a small fast one, and a large slow one. */
const PACES: Readonly<Record<string, Pace>> = {
  'mixtral-8x7b-instruct-v0.1': { firstTokenMs: 250, tokenMs: 12 },
  'gpt-4-1106-preview': { firstTokenMs: 600, tokenMs: 30 },
};
const DEFAULT: Pace = { firstTokenMs: 300, tokenMs: 20 };
/** Hosted models are up to so much faster or slower from one request to the next. */
const SPREAD = 0.4;

/** The pace of a model at a prompt, times a factor. The same prompt always gets the same one, so that runs can be repeated. */
export function paceOf(model: string, prompt: string, factor: number): Pace {
  const { firstTokenMs, tokenMs } = PACES[model] ?? DEFAULT;
  const bytes = createHash('sha256').update(`${model}\n${prompt}`, 'utf8').digest();
  const varied = (ms: number, byte: number) => ms * factor * (1 + SPREAD * ((2 * byte) / 255 - 1));
  return { firstTokenMs: varied(firstTokenMs, bytes[0] ?? 0), tokenMs: varied(tokenMs, bytes[1] ?? 0) };
}

/** Pieces in which an answer is streamed: words with the white space before them, long ones cut. */
export function piecesOf(text: string): string[] {
  return text.match(/\s*\S{1,8}|\s+$/g) ?? [];
}

/** Tokens by the rule of thumb of four characters each. */
export function tokensOf(text: string): number {
  return Math.ceil(text.length / 4);
}
