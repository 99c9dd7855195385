import { ThalamusError } from '@thalamus/errors';

/** Names of flags: what a caller can wish for or limit. */
export const FLAG_NAMES = [
  'size',
  'recency',
  'latency',
  'cost',
  'security',
  'verbosity',
  'readability',
] as const;
/** One of the names. */
export type FlagName = (typeof FLAG_NAMES)[number];

/** Verbal levels, for callers who do not think in nats. */
export const FLAG_LEVELS = ['low', 'medium', 'high'] as const;
/** One of the levels. */
export type FlagLevel = (typeof FLAG_LEVELS)[number];

/** A wish (weight in nats, or a verbal level) or a hard limit in the unit of the flag. */
export type Flag =
  | { readonly name: FlagName; readonly kind: 'weight'; readonly value: number }
  | { readonly name: FlagName; readonly kind: 'level'; readonly level: FlagLevel }
  | { readonly name: FlagName; readonly kind: 'atMost'; readonly value: number }
  | { readonly name: FlagName; readonly kind: 'atLeast'; readonly value: number };

const OPERATORS = { weight: '=', level: '=', atMost: '<', atLeast: '>' } as const;
const TERM = /^([a-z]+)\s*(=|<|>|:)\s*(\S+)$/;
const DECIMAL = /^(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;
/** Longest part of a faulty flag that an error repeats. */
const QUOTED_CHARACTERS = 40;

/**
 * Parses flags such as `size=0.5, cost<0.002, latency=high`: `=` is a weight in nats or a level, `<` and `>` are limits.
 * @throws FLAG_INVALID for an unknown name, a repeated one, or a value that is not a number of 0 or more.
 */
export function parseFlags(text: string): Flag[] {
  const flags: Flag[] = [];
  const seen = new Set<string>();
  for (const part of text.split(',').map((term) => term.trim())) {
    if (part === '') {
      if (text.trim() === '') continue;
      throw invalid(text, 'a term between commas is empty');
    }
    const flag = parseTerm(part);
    const slot = flag.kind === 'level' ? 'weight' : flag.kind;
    if (seen.has(`${flag.name}/${slot}`)) throw invalid(flag.name, 'it is given twice');
    seen.add(`${flag.name}/${slot}`);
    flags.push(flag);
  }
  return flags;
}

function parseTerm(term: string): Flag {
  const [, name, operator, value] = TERM.exec(term) ?? [];
  if (name === undefined || operator === undefined || value === undefined) {
    // A bare word such as "small" is a level of size; "[flag: small]" is the form of the Tryage paper.
    if (term === 'small') return { name: 'size', kind: 'level', level: 'high' };
    throw invalid(term, 'write name=weight, name=low|medium|high, name<limit or name>limit');
  }
  if (!isFlagName(name)) throw invalid(name, `it is unknown; known are ${FLAG_NAMES.join(', ')}`);
  if (operator === '=' || operator === ':') {
    if ((FLAG_LEVELS as readonly string[]).includes(value))
      return { name, kind: 'level', level: value as FlagLevel };
    return { name, kind: 'weight', value: number(name, value) };
  }
  return { name, kind: operator === '<' ? 'atMost' : 'atLeast', value: number(name, value) };
}

function number(name: string, text: string): number {
  const value = DECIMAL.test(text) ? Number(text) : NaN;
  if (!Number.isFinite(value))
    throw invalid(name, `"${short(text)}" is not a number of 0 or more, nor low, medium or high`);
  return value;
}

/** Writes flags so that parsing them gives the same ones. */
export function printFlags(flags: readonly Flag[]): string {
  return flags
    .map(
      (flag) =>
        `${flag.name}${OPERATORS[flag.kind]}${flag.kind === 'level' ? flag.level : String(flag.value)}`,
    )
    .join(',');
}

/** True for a known name. */
export function isFlagName(name: string): name is FlagName {
  return (FLAG_NAMES as readonly string[]).includes(name);
}

/**
 * Merges sources of flags, strongest first: the first that gives a flag a weight (or level), an upper limit or a lower
 * limit wins that one. A limit of a weaker source stands beside a weight of a stronger one.
 */
export function mergeFlags(...sources: readonly (readonly Flag[])[]): Flag[] {
  const merged = new Map<string, Flag>();
  for (const source of sources) {
    for (const flag of source) {
      const slot = `${flag.name}/${flag.kind === 'level' ? 'weight' : flag.kind}`;
      if (!merged.has(slot)) merged.set(slot, flag);
    }
  }
  return [...merged.values()];
}

/** A tag: square brackets around `flag:` or `flags:` and the flags themselves, which hold no brackets. */
const TAG = /^\[flags?:([^[\]]*)\]$/i;
/** Longest tag; a longer bracket at an end of a prompt is text. */
const MAX_TAG_CHARACTERS = 1_024;

/** A prompt with its tags taken off. */
export interface TaggedPrompt {
  /** What is left, without white space at its ends when a tag was taken off. */
  readonly prompt: string;
  readonly flags: readonly Flag[];
}

/**
 * Takes `[flag: size=0.8, recency=0.2]` off the beginning and the end of a prompt, one tag each. Text in the middle is
 * left alone, and so is a bracket that is no tag. Linear in the prompt.
 * @throws FLAG_INVALID for a tag that does not parse, or flags that both tags give
 */
export function stripFlagTags(prompt: string): TaggedPrompt {
  const leading = leadingTag(prompt);
  const rest = leading ? leading.rest : prompt;
  const trailing = trailingTag(rest);
  if (!leading && !trailing) return { prompt, flags: [] };
  const texts = [leading?.text ?? '', trailing?.text ?? ''].filter((text) => text.trim() !== '');
  return { prompt: (trailing ? trailing.rest : rest).trim(), flags: parseFlags(texts.join(',')) };
}

function leadingTag(prompt: string): { text: string; rest: string } | undefined {
  const start = prompt.length - prompt.trimStart().length;
  const end = prompt.slice(start, start + MAX_TAG_CHARACTERS).indexOf(']');
  if (end < 0) return undefined;
  const text = TAG.exec(prompt.slice(start, start + end + 1))?.[1];
  return text === undefined ? undefined : { text, rest: prompt.slice(start + end + 1) };
}

function trailingTag(prompt: string): { text: string; rest: string } | undefined {
  const end = prompt.trimEnd().length;
  const from = Math.max(0, end - MAX_TAG_CHARACTERS);
  const start = prompt.slice(from, end).lastIndexOf('[');
  if (start < 0) return undefined;
  const text = TAG.exec(prompt.slice(from + start, end))?.[1];
  return text === undefined ? undefined : { text, rest: prompt.slice(0, from + start) };
}

/** Splits `auto:size=0.5,cost<2` into the model and its flags; a name of another model comes back as it is. @throws FLAG_INVALID */
export function parseModelName(model: string): { readonly model: string; readonly flags: readonly Flag[] } {
  const match = /^auto:(.+)$/s.exec(model);
  return match ? { model: 'auto', flags: parseFlags(match[1] ?? '') } : { model, flags: [] };
}

const short = (text: string) =>
  text.length <= QUOTED_CHARACTERS ? text : `${text.slice(0, QUOTED_CHARACTERS)}…`;

function invalid(subject: string, reason: string): ThalamusError {
  const named = short(subject);
  const field = isFlagName(subject) ? `flags.${subject}` : 'flags';
  return new ThalamusError('FLAG_INVALID', `Flag "${named}": ${reason}.`, {
    violations: [{ field, description: `${named}: ${reason}` }],
  });
}
