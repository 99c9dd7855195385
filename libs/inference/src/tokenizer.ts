import { ThalamusError } from '@thalamus/errors';
import { tensor, type TensorOf } from '@thalamus/tensor';
import { Tokenizer as RustTokenizer } from 'tokenizers';

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

/** Longest run of characters that one token can stand for; longer texts are cut before they are tokenised. */
const CHARACTERS_PER_TOKEN = 32;

/** Turns text into token ids. The only place in the mesh where that happens. */
export class Tokenizer {
  private constructor(private readonly tokenizer: RustTokenizer) {}

  /** Reads a `tokenizer.json`. @throws BUNDLE_INVALID when it is not one. */
  static parse(bytes: Uint8Array): Tokenizer {
    try {
      const tokenizer = RustTokenizer.fromString(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
      tokenizer.disableTruncation();
      tokenizer.disablePadding();
      return new Tokenizer(tokenizer);
    } catch (cause) {
      throw new ThalamusError(
        'BUNDLE_INVALID',
        'tokenizer.json cannot be read; export it again in the Hugging Face tokenizers format.',
        { cause },
      );
    }
  }

  /** Encodes texts, each cut to `maxTokens` with its closing special token kept. */
  async encodeBatch(texts: readonly string[], maxTokens: number): Promise<TokenBatch> {
    const limit = maxTokens * CHARACTERS_PER_TOKEN;
    const encodings = await this.tokenizer.encodeBatch(
      texts.map((text) => (text.length > limit ? text.slice(0, limit) : text)),
    );
    const rows = encodings.map((encoding) => encoding.getIds());
    const longest = Math.max(1, ...rows.map((ids) => Math.min(ids.length, maxTokens)));
    const inputIds = new BigInt64Array(rows.length * longest);
    const attentionMask = new BigInt64Array(rows.length * longest);
    const tokenCounts: number[] = [];
    const truncated: boolean[] = [];
    rows.forEach((ids, row) => {
      const count = Math.min(ids.length, maxTokens);
      for (let i = 0; i < count; i++) {
        const source = i === count - 1 ? ids.length - 1 : i;
        inputIds[row * longest + i] = BigInt(ids[source] as number);
        attentionMask[row * longest + i] = 1n;
      }
      tokenCounts.push(count);
      truncated.push(ids.length > maxTokens || (texts[row] as string).length > limit);
    });
    const shape = [rows.length, longest];
    return {
      inputIds: tensor('int64', shape, inputIds),
      attentionMask: tensor('int64', shape, attentionMask),
      tokenCounts,
      truncated,
    };
  }
}
