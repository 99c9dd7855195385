import { createRandom, type Random } from '@thalamus/tensor';

/** What masking needs to know about the tokenizer. */
export interface MaskVocabulary {
  /** Id that stands for a hidden token. */
  readonly maskId: number;
  /** Ids that are never hidden: padding, separators. */
  readonly specialIds: ReadonlySet<number>;
  readonly size: number;
  /** Whether an id goes on with the word of the token before it (`##...`). */
  readonly isContinuation: (id: number) => boolean;
}

/** How tokens are hidden. */
export interface MaskOptions {
  /** Share of the words (or tokens) that is hidden. */
  readonly share: number;
  /** Whole words are hidden, with all their pieces; otherwise single tokens. Default true. */
  readonly wholeWords?: boolean;
  /** Same seed, same mask. */
  readonly seed: number;
  /** Every hidden token becomes the mask, as for measuring; default: 80 % mask, 10 % a random token, 10 % as it is. */
  readonly always?: boolean;
  /** Which of the disjoint masks of this seed, from 0: no word is hidden by two of them. Default 0. */
  readonly part?: number;
}

/** A row with tokens hidden. */
export interface MaskedRow {
  readonly ids: readonly number[];
  /** Positions of the hidden tokens, rising. */
  readonly positions: readonly number[];
  /** What was there. */
  readonly labels: readonly number[];
}

/**
 * Hides tokens of a row (Devlin et al. 2018, section 3.1): of those chosen 80 % become the mask, 10 % a random token, 10 %
 * stay. At least one word is hidden when there is one, and this is the first part. A function of row, seed and part alone.
 */
export function maskTokens(
  ids: readonly number[],
  vocabulary: MaskVocabulary,
  options: MaskOptions,
): MaskedRow {
  const { share, wholeWords = true, seed, always = false, part = 0 } = options;
  const random = createRandom(seed);
  const words = wordsOf(ids, vocabulary, wholeWords);
  const wanted = words.length === 0 ? 0 : Math.max(1, Math.round(words.length * share));
  const chosen = random.shuffle(words).slice(part * wanted, (part + 1) * wanted);
  const positions = chosen.flat().sort((a, b) => a - b);
  const hidden = [...ids];
  for (const position of positions)
    hidden[position] = replacement(ids[position]!, vocabulary, always, random);
  return { ids: hidden, positions, labels: positions.map((position) => ids[position]!) };
}

function wordsOf(ids: readonly number[], vocabulary: MaskVocabulary, wholeWords: boolean): number[][] {
  const words: number[][] = [];
  ids.forEach((id, position) => {
    if (vocabulary.specialIds.has(id)) return;
    const last = words.at(-1);
    const goesOn = wholeWords && vocabulary.isContinuation(id) && last?.at(-1) === position - 1;
    if (goesOn) last.push(position);
    else words.push([position]);
  });
  return words;
}

function replacement(
  id: number,
  { maskId, size, specialIds }: MaskVocabulary,
  always: boolean,
  random: Random,
): number {
  if (always) return maskId;
  const draw = random.next();
  if (draw < 0.8) return maskId;
  if (draw >= 0.9) return id;
  let other = random.below(size);
  while (specialIds.has(other)) other = random.below(size);
  return other;
}

/** Reads a WordPiece `tokenizer.json`. Undefined when it has no `[MASK]`, as a tokenizer that was not made for this. */
export function maskVocabulary(tokenizerJson: Uint8Array): MaskVocabulary | undefined {
  const parsed = JSON.parse(new TextDecoder().decode(tokenizerJson)) as {
    readonly model?: {
      readonly vocab?: Readonly<Record<string, number>>;
      readonly continuing_subword_prefix?: string;
    };
  };
  const vocabulary = parsed.model?.vocab ?? {};
  const maskId = vocabulary['[MASK]'];
  if (maskId === undefined) return undefined;
  const prefix = parsed.model?.continuing_subword_prefix ?? '##';
  const entries = Object.entries(vocabulary);
  const continuations = new Set(entries.filter(([token]) => token.startsWith(prefix)).map(([, id]) => id));
  const special = entries.filter(([token]) => /^\[(PAD|UNK|CLS|SEP|MASK|unused\d+)\]$/.test(token));
  return {
    maskId,
    specialIds: new Set(special.filter(([token]) => token !== '[UNK]').map(([, id]) => id)),
    size: Math.max(...entries.map(([, id]) => id)) + 1,
    isContinuation: (id) => continuations.has(id),
  };
}

/** Rows of tokens cut into windows of at most `windowTokens`, opened and closed by the special tokens of the row. */
export function cutWindows(ids: readonly number[], windowTokens: number): number[][] {
  const inner = ids.slice(1, -1);
  const windows: number[][] = [];
  const size = windowTokens - 2;
  for (let from = 0; from < inner.length; from += size)
    windows.push([ids[0]!, ...inner.slice(from, from + size), ids.at(-1)!]);
  return windows;
}

/**
 * Start of a masked-LM head's bias: log of each token's share of the training tokens, one added to every count. A head that
 * starts so predicts the unigram frequencies instead of learning them.
 */
export function logUnigramFrequencies(
  rows: readonly (readonly number[])[],
  vocabularySize: number,
): Float32Array {
  const counts = new Float64Array(vocabularySize).fill(1);
  let total = vocabularySize;
  for (const row of rows)
    for (const id of row) {
      counts[id]! += 1;
      total += 1;
    }
  return Float32Array.from(counts, (count) => Math.log(count / total));
}
