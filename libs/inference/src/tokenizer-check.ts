/** Longest pattern, UTF-16 units. */
const LONGEST_PATTERN = 2_000;
/** A bounded repetition of more than this counts as one without an end. */
const MANY = 16;
/** Parts of one alternative that may be there or not: with each the ways to match double. */
const MOST_OPTIONAL = 6;
/** How many times as long as it was a normaliser may make a text. */
const MOST_GROWTH = 16;
/** Where nothing of this is written there is nothing to check; ASCII letters written as escapes hide names. */
const WORTH_A_LOOK = /"Regex"|"Replace"|\\u00[4-7]/i;

/**
 * Why a `tokenizer.json` may not be used; undefined when nothing speaks against it. It comes with a model and runs in the process of
 * the host, on texts of others: a pattern that is tried in more ways than the library allows ends that process (tokenizers 0.23.2, Oniguruma: "retry-limit-in-match
 * over"), and replacements within replacements fill its memory.
 */
export function tokenizerFault(json: string): string | undefined {
  if (!WORTH_A_LOOK.test(json)) return undefined;
  const root: unknown = JSON.parse(json);
  const patterns: string[] = [];
  const growth = { factor: 1 };
  visit(root, patterns, growth);
  if (growth.factor > MOST_GROWTH)
    return `its replacements may make a text ${Math.round(growth.factor)} times as long; at most ${MOST_GROWTH} times is taken`;
  for (const pattern of patterns) {
    const fault = patternFault(pattern);
    if (fault !== undefined) return `its pattern ${JSON.stringify(pattern.slice(0, 80))} ${fault}`;
  }
  return undefined;
}

function visit(value: unknown, patterns: string[], growth: { factor: number }): void {
  if (typeof value !== 'object' || value === null) return;
  const { Regex: pattern, type, content, pattern: replaced } = value as Record<string, unknown>;
  if (typeof pattern === 'string') patterns.push(pattern);
  if (type === 'Replace' && typeof content === 'string') {
    const { String: text = '' } = (replaced ?? {}) as Record<string, unknown>;
    const length = typeof text === 'string' ? Math.max(1, text.length) : 1;
    growth.factor *= Math.max(1, content.length / length);
  }
  // The words of a vocabulary are no fields.
  for (const [key, each] of Object.entries(value)) if (key !== 'vocab') visit(each, patterns, growth);
}

/** Why a pattern may take more than a time that grows with the text; undefined when it does not. */
export function patternFault(pattern: string): string | undefined {
  if (pattern.length > LONGEST_PATTERN)
    return `has ${pattern.length} characters; at most ${LONGEST_PATTERN} are taken`;
  try {
    const parser = new PatternParser(pattern);
    parser.alternatives();
    return parser.isAtEnd ? undefined : 'has a bracket that closes nothing';
  } catch (fault) {
    if (fault instanceof PatternFault) return fault.message;
    throw fault;
  }
}

class PatternFault extends Error {}

/** One part of an alternative. */
interface Part {
  readonly isOptional: boolean;
  /** Repetitions without an end in it. */
  readonly endless: number;
}

/** Reads as much of the syntax of Oniguruma as patterns of tokenizers use. */
class PatternParser {
  private at = 0;

  constructor(private readonly pattern: string) {}

  get isAtEnd(): boolean {
    return this.at >= this.pattern.length;
  }

  /** Repetitions without an end in the worst of the alternatives. */
  alternatives(): number {
    let worst = 0;
    for (;;) {
      worst = Math.max(worst, this.alternative());
      if (this.pattern[this.at] !== '|') return worst;
      this.at += 1;
    }
  }

  private alternative(): number {
    const parts: Part[] = [];
    while (!this.isAtEnd && !'|)'.includes(this.pattern[this.at] ?? '')) parts.push(this.part());
    const endless = parts.reduce((sum, part) => sum + part.endless, 0);
    const last = parts.findLastIndex((part) => part.endless > 0);
    const canFailAfter = parts.slice(last + 1).some(({ isOptional }) => !isOptional);
    if (endless > 2 || (endless === 2 && canFailAfter))
      throw new PatternFault('repeats one part after another, which may be matched in too many ways');
    if (parts.filter(({ isOptional }) => isOptional).length > MOST_OPTIONAL)
      throw new PatternFault('has too many parts that may be missing');
    return endless;
  }

  private part(): Part {
    const isGroup = this.pattern[this.at] === '(';
    const inner = isGroup ? this.group() : this.atom();
    const [least, most] = this.repetition();
    if (isGroup && most > 1) throw new PatternFault('repeats a group; write it without');
    return { isOptional: least === 0, endless: inner + (most > MANY ? 1 : 0) };
  }

  private group(): number {
    const [opening = '('] = /^\((\?(:|=|!|>|[imx-]+:?))?/.exec(this.pattern.slice(this.at)) ?? [];
    this.at += opening.length;
    if (this.pattern[this.at] === '?') throw new PatternFault('looks behind, or has a named group');
    const inner = this.alternatives();
    if (this.pattern[this.at] !== ')') throw new PatternFault('has a bracket that is not closed');
    this.at += 1;
    if (inner > 0 && /[=!]$/.test(opening)) throw new PatternFault('looks ahead at a part that repeats');
    return inner;
  }

  /** A character, a class, or an escape: it repeats nothing. */
  private atom(): number {
    const rest = this.pattern.slice(this.at);
    if (rest.startsWith('[')) return this.characterClass();
    const [atom = ''] = /^(\\[pP]\{[^}]*\}|\\x\{[^}]*\}|\\.|.)/su.exec(rest) ?? [];
    if (/^\\[1-9gkRX]/.test(atom)) throw new PatternFault('refers back to what it matched');
    this.at += atom.length;
    return 0;
  }

  private characterClass(): number {
    let depth = 0;
    do {
      const character = this.pattern[this.at];
      if (character === undefined) throw new PatternFault('has a class that is not closed');
      if (character === '[') depth += 1;
      if (character === ']') depth -= 1;
      this.at += character === '\\' ? 2 : 1;
    } while (depth > 0);
    return 0;
  }

  private repetition(): readonly [number, number] {
    const rest = this.pattern.slice(this.at);
    const [all = '', sign = '', least = '', comma = '', most = ''] =
      /^(?:([*+?])|\{(\d*)(,?)(\d*)\})[?+]?/.exec(rest) ?? [];
    this.at += all.length;
    if (/^[*+?]|^\{\d/.test(this.pattern.slice(this.at))) throw new PatternFault('repeats what repeats');
    if (all === '') return [1, 1];
    if (sign !== '') return [sign === '+' ? 1 : 0, sign === '?' ? 1 : Infinity];
    const atLeast = Number(least || 0);
    if (comma === '') return [atLeast, atLeast];
    return [atLeast, most === '' ? Infinity : Number(most)];
  }
}
