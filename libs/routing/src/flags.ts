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
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || text === '')
    throw invalid(name, `"${text}" is not a number of 0 or more, nor low, medium or high`);
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

/** Merges sources of flags; the first source that names a flag's weight or limit wins. */
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

const LEADING = /^\s*\[flags?:([^\]]*)\]/i;
const TRAILING = /\[flags?:([^\]]*)\]\s*$/i;

/** A prompt with its tags taken off. */
export interface TaggedPrompt {
  /** The prompt without tags: what is encoded and what an expert sees. */
  readonly prompt: string;
  readonly flags: readonly Flag[];
}

/** Takes `[flag: size=0.8, recency=0.2]` off the beginning or end of a prompt. Text in the middle is left alone. */
export function stripFlagTags(prompt: string): TaggedPrompt {
  let rest = prompt;
  const texts: string[] = [];
  for (const pattern of [LEADING, TRAILING]) {
    const match = pattern.exec(rest);
    if (!match) continue;
    texts.push(match[1] ?? '');
    rest = rest.slice(0, match.index) + rest.slice(match.index + match[0].length);
  }
  if (texts.length === 0) return { prompt, flags: [] };
  return { prompt: rest.trim(), flags: parseFlags(texts.filter((text) => text.trim() !== '').join(',')) };
}

/** Splits `auto:size=0.5,cost<2` into the model and its flags. */
export function parseModelName(model: string): { readonly model: string; readonly flags: readonly Flag[] } {
  const match = /^auto:(.+)$/s.exec(model);
  return match ? { model: 'auto', flags: parseFlags(match[1] ?? '') } : { model, flags: [] };
}

function invalid(subject: string, reason: string): ThalamusError {
  return new ThalamusError('FLAG_INVALID', `Flag "${subject}": ${reason}.`, {
    violations: [{ field: 'flags', description: `${subject}: ${reason}` }],
  });
}
