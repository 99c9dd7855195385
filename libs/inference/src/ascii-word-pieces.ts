import { z } from 'zod';

/** The form of `tokenizer.json` that is taken: that of BERT's tokenizers without settings that only others have. */
const formSchema = z.object({
  added_tokens: z.array(z.object({ content: z.string().min(1), normalized: z.literal(false) })),
  normalizer: z.object({
    type: z.literal('BertNormalizer'),
    clean_text: z.literal(true),
    lowercase: z.boolean(),
  }),
  pre_tokenizer: z.strictObject({ type: z.literal('BertPreTokenizer') }),
  post_processor: z.object({
    type: z.literal('TemplateProcessing'),
    single: z.tuple([
      z.object({ SpecialToken: z.object({ id: z.string() }) }),
      z.object({ Sequence: z.object({ id: z.literal('A') }) }),
      z.object({ SpecialToken: z.object({ id: z.string() }) }),
    ]),
    special_tokens: z.record(z.string(), z.object({ ids: z.array(z.number()).length(1) })),
  }),
  model: z.object({
    type: z.literal('WordPiece'),
    unk_token: z.string(),
    continuing_subword_prefix: z.string(),
    max_input_chars_per_word: z.number(),
    vocab: z.custom<Readonly<Record<string, number>>>((words) => typeof words === 'object' && words !== null),
  }),
});

/** What a character of ASCII is to BERT's normaliser and splitter. */
const [LETTER, SPACE, MARK, DROPPED] = [0, 1, 2, 3];
const KINDS = Uint8Array.from({ length: 128 }, (_, code) => {
  if (code === 9 || code === 10 || code === 13 || code === 32) return SPACE;
  if (code < 32 || code === 127) return DROPPED;
  return /[A-Za-z0-9]/.test(String.fromCharCode(code)) ? LETTER : MARK;
});
/** Words whose pieces are kept; beyond that all are forgotten. */
const MOST_KEPT = 8192;
/** Longest word that is kept: a part of a text that is longer would keep the whole text in memory. */
const LONGEST_KEPT = 12;

/** Token ids of a text, cut. */
interface Cut {
  readonly ids: readonly number[];
  readonly truncated: boolean;
}

/**
 * Word pieces of texts that are ASCII alone, for tokenizers of BERT's form: the ids that the library gives, without the way to one of its
 * threads and back, which costs most of the time of a short text. Other texts are left to the library.
 */
export class AsciiWordPieces {
  private readonly kept = new Map<string, readonly number[]>();

  private constructor(
    private readonly vocabulary: ReadonlyMap<string, number>,
    private readonly settings: {
      readonly open: number;
      readonly close: number;
      readonly unknown: number;
      readonly prefix: string;
      readonly longestWord: number;
      readonly longestPiece: number;
      readonly isLowered: boolean;
      /** Texts that the library takes out before anything else. */
      readonly added: readonly string[];
      readonly longestAdded: number;
    },
  ) {}

  /** For a tokenizer that is of the form; undefined for another. */
  static of(json: string): AsciiWordPieces | undefined {
    const form = formSchema.safeParse(JSON.parse(json)).data;
    if (!form) return undefined;
    const { model, post_processor: template, added_tokens: added, normalizer } = form;
    const [first, , last] = template.single;
    const open = template.special_tokens[first.SpecialToken.id]?.ids[0];
    const close = template.special_tokens[last.SpecialToken.id]?.ids[0];
    const unknown = model.vocab[model.unk_token];
    if (open === undefined || close === undefined || unknown === undefined) return undefined;
    const words = Object.entries(model.vocab);
    return new AsciiWordPieces(new Map(words), {
      open,
      close,
      unknown,
      prefix: model.continuing_subword_prefix,
      longestWord: model.max_input_chars_per_word,
      longestPiece: words.reduce((most, [word]) => Math.max(most, word.length), 0),
      isLowered: normalizer.lowercase,
      added: added.map(({ content }) => content),
      longestAdded: added.reduce((most, { content }) => Math.max(most, content.length), 0),
    });
  }

  /**
   * Ids of a text, special ones included, cut to `maxTokens`. At most `mostRead` characters are looked at; undefined when they do not
   * settle the ids, or hold what only the library knows.
   */
  encode(text: string, maxTokens: number, mostRead: number): Cut | undefined {
    const { open, close, added, longestAdded } = this.settings;
    const end = Math.min(text.length, mostRead);
    const seen = end < text.length ? text.slice(0, end) : text;
    if (added.some((token) => seen.includes(token))) return undefined;
    const ids = [open];
    // What an added token may be that begins in what is seen and ends beyond lies behind the cut then.
    const enough = maxTokens + longestAdded;
    let at = 0;
    while (at < end && ids.length <= enough) {
      const next = this.take(seen, at, end < text.length, ids);
      if (next === undefined) return undefined;
      at = next;
    }
    const isSettled = ids.length > enough || end === text.length;
    if (!isSettled) return undefined;
    if (ids.length < maxTokens) return { ids: [...ids, close], truncated: false };
    return { ids: [...ids.slice(0, maxTokens - 1), close], truncated: true };
  }

  /**
   * Adds the pieces of what begins at `at`, and says where it ends; undefined for a character that is not ASCII. A word that goes on
   * beyond the end is left out.
   */
  private take(text: string, at: number, goesOn: boolean, ids: number[]): number | undefined {
    let isWhole = true;
    let stop = at;
    for (; stop < text.length; stop++) {
      const code = text.charCodeAt(stop);
      if (code > 127) return undefined;
      const kind = KINDS[code];
      if (kind === DROPPED) isWhole = false;
      else if (kind !== LETTER) break;
    }
    if (stop === text.length && goesOn) return stop;
    if (stop > at) {
      const word = isWhole ? text.slice(at, stop) : withoutDropped(text.slice(at, stop));
      if (word !== '') for (const id of this.piecesOf(word)) ids.push(id);
    }
    if (stop === text.length) return stop;
    if (KINDS[text.charCodeAt(stop)] === MARK)
      for (const id of this.piecesOf(text.charAt(stop))) ids.push(id);
    return stop + 1;
  }

  private piecesOf(written: string): readonly number[] {
    const word = this.settings.isLowered ? written.toLowerCase() : written;
    const known = this.kept.get(word);
    if (known) return known;
    const pieces = this.split(word);
    if (this.kept.size >= MOST_KEPT) this.kept.clear();
    if (word.length <= LONGEST_KEPT) this.kept.set(word, pieces);
    return pieces;
  }

  /** The longest piece first (Wu and others 2016, as BERT has it); one unknown token for a word that is not made of pieces. */
  private split(word: string): readonly number[] {
    const { unknown, prefix, longestWord, longestPiece } = this.settings;
    if (word.length > longestWord) return [unknown];
    const ids: number[] = [];
    let from = 0;
    while (from < word.length) {
      const lead = from === 0 ? '' : prefix;
      let to = Math.min(word.length, from + longestPiece - lead.length);
      let id: number | undefined;
      for (; to > from; to--) {
        id = this.vocabulary.get(lead + word.slice(from, to));
        if (id !== undefined) break;
      }
      if (id === undefined) return [unknown];
      ids.push(id);
      from = to;
    }
    return ids;
  }
}

function withoutDropped(word: string): string {
  return Array.from(word)
    .filter((character) => KINDS[character.charCodeAt(0)] !== DROPPED)
    .join('');
}
