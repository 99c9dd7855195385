import { ThalamusError } from '@thalamus/errors';
import { cutWindows, maskVocabulary, type MaskVocabulary } from '../data/mask-tokens.js';
import type { TextLine } from '../data/text-lines.js';
import type { TrainingBase } from '../training-base.port.js';
import type { OpenedMaskedLm } from './open-masked-lm.js';
import type { RowLoss } from './masked-lm-model.js';
import type { Windows } from './train-masked-lm-expert.js';

/** Longest text that is cut into windows, tokens. */
const LONGEST_TEXT = 1_000_000;

/** Tokens of the windows that models are measured on, the special ones included. */
export const JUDGING_WINDOW_TOKENS = 128;

/** Windows of lines, in their order; `windowTokens` includes the special ones. */
export async function textWindows(
  base: TrainingBase,
  lines: readonly TextLine[],
  windowTokens: number,
): Promise<Windows> {
  const texts = lines.map(({ text }) => text);
  const encoded = await base.tokens.encode(texts, LONGEST_TEXT);
  return encoded.flatMap(({ ids }) => cutWindows([...ids], windowTokens));
}

/** @throws CONFIG_INVALID for a base whose tokenizer has no mask */
export function requireMask(base: TrainingBase): MaskVocabulary {
  const vocabulary = maskVocabulary(base.tokenizerJson);
  if (vocabulary) return vocabulary;
  throw new ThalamusError(
    'CONFIG_INVALID',
    `The tokenizer of ${base.manifest.name} has no [MASK]; name another base.`,
  );
}

/** What a masked language model gave for texts. */
export interface MaskedLmMeasure {
  readonly windows: number;
  /** Hidden word pieces. */
  readonly pieces: number;
  /** Mean cross-entropy of one, nats. */
  readonly loss: number;
  /** JSONL rows {id, nats, pieces}, a window each, in order. */
  readonly file: string;
}

/** Measures a model on windows of texts. */
export async function measureMaskedLm(
  model: OpenedMaskedLm,
  windows: Windows,
  onRows?: (done: number) => void,
): Promise<MaskedLmMeasure> {
  const losses = await model.rowLosses(windows, onRows);
  const total = (of: keyof RowLoss) => losses.reduce((sum, row) => sum + row[of], 0);
  const pieces = total('pieces');
  const rows = losses.map((row, at) =>
    JSON.stringify({ id: String(at + 1), nats: row.nats, pieces: row.pieces }),
  );
  return {
    windows: windows.length,
    pieces,
    loss: total('nats') / Math.max(1, pieces),
    file: `${rows.join('\n')}\n`,
  };
}
