/** A value in the text format: a text, what is written without quotes (numbers, names, true and false), or a message. */
export type PbtxtValue =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'message'; readonly fields: readonly PbtxtField[] };

/** A field as it is written; one with a list stands here once for each item. */
export interface PbtxtField {
  readonly name: string;
  /** Line of its name, from 1. */
  readonly line: number;
  readonly value: PbtxtValue;
}

/** A fault of the text, with its line. */
export class PbtxtError extends Error {
  override readonly name = 'PbtxtError';

  constructor(
    readonly line: number,
    reason: string,
  ) {
    super(`line ${line}: ${reason}`);
  }
}

/** Messages within messages. */
const MAX_DEPTH = 32;

interface Token {
  readonly kind: 'text' | 'word' | 'sign' | 'end';
  readonly text: string;
  readonly line: number;
}

const SPACE = /(?:[ \t\r\f\v]|#[^\n]*)+/y;
const WORD = /[-+]?[A-Za-z0-9_.]+/y;
const SIGNS = '{}<>[]:,;';

/**
 * Reads protobuf's text format as far as configurations of models need it: fields, messages in either bracket, lists, strings
 * that are joined, comments. Names of extensions and of Any are not read (https://protobuf.dev/reference/protobuf/textformat-spec).
 * @throws PbtxtError with the line
 */
export function parsePbtxt(text: string): PbtxtField[] {
  const tokens = tokenise(text);
  let at = 0;
  const peek = (): Token => tokens[at] as Token;
  const next = (): Token => tokens[at++] as Token;
  const isSign = (...signs: string[]) => peek().kind === 'sign' && signs.includes(peek().text);

  const message = (closing: string, depth: number): PbtxtField[] => {
    if (depth > MAX_DEPTH) throw new PbtxtError(peek().line, `messages are nested deeper than ${MAX_DEPTH}`);
    const fields: PbtxtField[] = [];
    while (!(closing === '' ? peek().kind === 'end' : isSign(closing))) {
      const name = next();
      if (name.kind !== 'word' || !/^[A-Za-z_]\w*$/.test(name.text))
        throw new PbtxtError(name.line, `the name of a field is expected, not ${shown(name)}`);
      const hasColon = isSign(':');
      if (hasColon) next();
      for (const value of values(name, hasColon, depth))
        fields.push({ name: name.text, line: name.line, value });
      if (isSign(',', ';')) next();
    }
    if (closing !== '') next();
    return fields;
  };
  const values = (name: Token, hasColon: boolean, depth: number): PbtxtValue[] => {
    if (!isSign('[')) return [value(name, hasColon, depth)];
    next();
    const items: PbtxtValue[] = [];
    while (!isSign(']')) {
      items.push(value(name, true, depth));
      if (isSign(',')) next();
      else if (!isSign(']'))
        throw new PbtxtError(peek().line, `"," or "]" is expected, not ${shown(peek())}`);
    }
    next();
    return items;
  };
  const value = (name: Token, hasColon: boolean, depth: number): PbtxtValue => {
    const token = next();
    if (token.kind === 'sign' && (token.text === '{' || token.text === '<'))
      return { kind: 'message', fields: message(token.text === '{' ? '}' : '>', depth + 1) };
    if (!hasColon)
      throw new PbtxtError(token.line, `":" is expected after ${name.text}, not ${shown(token)}`);
    if (token.kind === 'word') return { kind: 'word', text: token.text };
    if (token.kind !== 'text') throw new PbtxtError(token.line, `${name.text} has no value`);
    let text = token.text;
    while (peek().kind === 'text') text += next().text;
    return { kind: 'text', text };
  };
  return message('', 0);
}

function tokenise(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  while (at < text.length) {
    const character = text.charAt(at);
    const space = match(SPACE);
    const word = match(WORD);
    if (character === '\n') {
      line += 1;
      at += 1;
    } else if (space !== undefined) at += space.length;
    else if (character === '"' || character === "'") {
      const { value, length } = quoted(text, at, line);
      tokens.push({ kind: 'text', text: value, line });
      at += length;
    } else if (SIGNS.includes(character)) {
      tokens.push({ kind: 'sign', text: character, line });
      at += 1;
    } else if (word !== undefined) {
      tokens.push({ kind: 'word', text: word, line });
      at += word.length;
    } else throw new PbtxtError(line, `${JSON.stringify(character)} is not expected here`);
  }
  tokens.push({ kind: 'end', text: '', line });
  return tokens;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/** A string that begins at a quote: what it says, and how many characters it takes. */
function quoted(text: string, from: number, line: number): { value: string; length: number } {
  const quote = text.charAt(from);
  let value = '';
  for (let at = from + 1; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === quote) return { value, length: at + 1 - from };
    if (character === '\n') break;
    if (character === '\\') {
      const escaped = ESCAPES[text.charAt((at += 1))];
      if (escaped === undefined)
        throw new PbtxtError(line, `\\${text.charAt(at)} is no escape that is read here`);
      value += escaped;
    } else value += character;
  }
  throw new PbtxtError(line, 'a string is not closed');
}

function shown({ kind, text }: Token): string {
  return kind === 'end' ? 'the end of the file' : JSON.stringify(text);
}
