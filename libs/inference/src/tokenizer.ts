import { ThalamusError } from '@thalamus/errors';
import { tensor, type TensorOf } from '@thalamus/tensor';
import { Tokenizer as RustTokenizer, type Encoding } from 'tokenizers';
import { AsciiWordPieces } from './ascii-word-pieces.js';
import { tokenizerFault } from './tokenizer-check.js';

/** One text as token ids. */
export interface TokenRow {
  /** Ids, special ones included, after cutting. */
  readonly ids: readonly number[];
  /** Whether the text was longer and has been cut. */
  readonly truncated: boolean;
}

/** The token that stands for what is hidden. */
export interface MaskToken {
  readonly id: number;
  /** As it is written in a text, such as `[MASK]`. */
  readonly text: string;
}

/** A batch of texts as token ids, padded to the longest. */
export interface TokenBatch {
  /** int64 [batch, longest] */
  readonly inputIds: TensorOf<'int64'>;
  /** int64 [batch, longest]; 1 for tokens, 0 for padding. */
  readonly attentionMask: TensorOf<'int64'>;
  /** Tokens of each text, special ones included, after cutting. */
  readonly tokenCounts: readonly number[];
  /** Whether each text was cut. */
  readonly truncated: readonly boolean[];
}

/** How tokenizers of masked language models write their mask: BERT's family, RoBERTa's family. */
const MASKS = ['[MASK]', '<mask>'];

/** Characters for each token that are looked at first; a text whose beginning gives too few tokens is looked at further. */
const CHARACTERS_PER_TOKEN = 32;
/** Tokens beyond the limit that make sure that a word which the first look cut in two lies beyond it. */
const SPARE_TOKENS = 256;

/** Turns text into token ids. The only place in the mesh where that happens. */
export class Tokenizer {
  private constructor(
    private readonly tokenizer: RustTokenizer,
    private readonly ascii: AsciiWordPieces | undefined,
  ) {}

  /** Reads a `tokenizer.json`. @throws BUNDLE_INVALID when it is not one, or one that may do harm to this process */
  static parse(bytes: Uint8Array): Tokenizer {
    try {
      const json = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      const fault = tokenizerFault(json);
      if (fault !== undefined)
        throw new ThalamusError(
          'BUNDLE_INVALID',
          `tokenizer.json is not taken: ${fault}. Write it anew without, or use the tokenizer of another export.`,
        );
      const tokenizer = RustTokenizer.fromString(json);
      tokenizer.disableTruncation();
      tokenizer.disablePadding();
      return new Tokenizer(tokenizer, AsciiWordPieces.of(json));
    } catch (cause) {
      if (ThalamusError.is(cause)) throw cause;
      throw new ThalamusError(
        'BUNDLE_INVALID',
        'tokenizer.json cannot be read; export it again in the Hugging Face tokenizers format.',
        { cause },
      );
    }
  }

  /**
   * Encodes texts, each cut to `maxTokens` with its closing special token kept. The ids are those of the whole text, cut;
   * the work is bounded by the tokens wanted, whatever the length of the text.
   */
  async encode(texts: readonly string[], maxTokens: number): Promise<TokenRow[]> {
    const firstLook = (maxTokens + SPARE_TOKENS) * CHARACTERS_PER_TOKEN;
    const rows = texts.map((text) => this.ascii?.encode(text, maxTokens, firstLook));
    const open = rows.flatMap((row, at) => (row ? [] : [at]));
    if (open.length === 0) return rows as TokenRow[];
    const encodings = await this.tokenizer.encodeBatch(
      open.map((at) => beginning(texts[at] as string, firstLook)),
    );
    for (const [index, at] of open.entries()) {
      const text = texts[at] as string;
      let ids = (encodings[index] as Encoding).getIds();
      let seen = firstLook;
      while (text.length > seen && ids.length < maxTokens + SPARE_TOKENS) {
        seen *= 4;
        ids = (await this.tokenizer.encode(beginning(text, seen))).getIds();
      }
      rows[at] = cut(ids, maxTokens);
    }
    return rows as TokenRow[];
  }

  /** The mask of a tokenizer that was made for masked language models; undefined for another. */
  get mask(): MaskToken | undefined {
    for (const text of MASKS) {
      const id = this.tokenizer.tokenToId(text);
      if (id !== null) return { id, text };
    }
    return undefined;
  }

  /** Each token as text on its own, as Hugging Face's `decode([id])` writes it; empty for an id without a token. */
  tokenTexts(ids: readonly number[]): Promise<string[]> {
    return this.tokenizer.decodeBatch(
      ids.map((id) => [id]),
      false,
    );
  }

  /** Encodes texts as one padded batch. */
  async encodeBatch(texts: readonly string[], maxTokens: number): Promise<TokenBatch> {
    return padTokens(await this.encode(texts, maxTokens));
  }
}

/** Pads rows of ids with zeros to the longest. */
export function padTokens(rows: readonly TokenRow[]): TokenBatch {
  const longest = Math.max(1, ...rows.map(({ ids }) => ids.length));
  const inputIds = new BigInt64Array(rows.length * longest);
  const attentionMask = new BigInt64Array(rows.length * longest);
  rows.forEach(({ ids }, row) => {
    ids.forEach((id, position) => {
      inputIds[row * longest + position] = BigInt(id);
      attentionMask[row * longest + position] = 1n;
    });
  });
  const shape = [rows.length, longest];
  return {
    inputIds: tensor('int64', shape, inputIds),
    attentionMask: tensor('int64', shape, attentionMask),
    tokenCounts: rows.map(({ ids }) => ids.length),
    truncated: rows.map(({ truncated }) => truncated),
  };
}

function cut(ids: number[], maxTokens: number): TokenRow {
  if (ids.length <= maxTokens) return { ids, truncated: false };
  return { ids: [...ids.slice(0, maxTokens - 1), ids.at(-1) as number], truncated: true };
}

/** At most so many UTF-16 units from the start, never half of a pair. */
function beginning(text: string, length: number): string {
  if (text.length <= length) return text;
  const isHigh = (text.charCodeAt(length - 1) & 0xfc00) === 0xd800;
  return text.slice(0, isHigh ? length - 1 : length);
}
