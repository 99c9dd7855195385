/** What is counted of a prompt, in the order of the values. Nothing but its text is looked at. */
export const PROMPT_FEATURES = [
  'logCharacters',
  'logWords',
  'logLines',
  'digitShare',
  'codeShare',
  'mathShare',
  'upperShare',
  'punctuationShare',
  'nonAsciiShare',
  'questionMarks',
  'optionLines',
  'endsWithQuestion',
] as const;

/** Characters that are counted; what follows adds to the length alone, so that the work is bounded. */
const COUNTED_CHARACTERS = 16_384;

/** What a character counts as, by its code; characters beyond ASCII have a class of their own. */
const CLASSES = { digit: 1, code: 2, math: 3, upper: 4, punctuation: 5, nonAscii: 6 } as const;
const CLASS_OF = classTable();
/** A line that offers an answer: `A.`, `(B)`, `3)`. */
const OPTION_LINE = /^\s*\(?(?:[A-Ja-j]|\d{1,2})[.):]\s/gm;

/**
 * Numbers that say what kind of text a prompt is: its length, its share of digits, code and mathematics, its lines. Float64
 * [PROMPT_FEATURES.length], each finite, shares between 0 and 1. Time is linear in the first 16,384 characters.
 */
export function promptFeatures(prompt: string): Float64Array {
  const text = prompt.slice(0, COUNTED_CHARACTERS);
  const counts = new Float64Array(7);
  let lines = 1;
  let words = 0;
  let questions = 0;
  let isInWord = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const isSpace = code <= 32;
    if (!isSpace && !isInWord) words += 1;
    isInWord = !isSpace;
    if (code === 10) lines += 1;
    if (code === 63) questions += 1;
    counts[code > 127 ? CLASSES.nonAscii : CLASS_OF[code]!]! += 1;
  }
  const n = Math.max(1, text.length);
  return Float64Array.of(
    Math.log1p(prompt.length),
    Math.log1p(words),
    Math.log(lines),
    counts[CLASSES.digit]! / n,
    counts[CLASSES.code]! / n,
    counts[CLASSES.math]! / n,
    counts[CLASSES.upper]! / n,
    counts[CLASSES.punctuation]! / n,
    counts[CLASSES.nonAscii]! / n,
    Math.log1p(questions),
    Math.log1p(text.match(OPTION_LINE)?.length ?? 0),
    text.trimEnd().endsWith('?') ? 1 : 0,
  );
}

function classTable(): Uint8Array {
  const table = new Uint8Array(128);
  const mark = (characters: string, kind: number) => {
    for (const character of characters) table[character.charCodeAt(0)] = kind;
  };
  mark('0123456789', CLASSES.digit);
  mark('ABCDEFGHIJKLMNOPQRSTUVWXYZ', CLASSES.upper);
  mark('{}();=<>[]_#`|&', CLASSES.code);
  mark('$^\\+*/%', CLASSES.math);
  mark('.,:!?\'"-', CLASSES.punctuation);
  return table;
}
