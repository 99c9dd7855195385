import { ThalamusError } from '@thalamus/errors';
import type { TextLine } from '../data/text-lines.js';
import { bucketOf, normalised, type TrainingSplit } from '../split-rows.js';

/** Lines of a file with the name that messages use. */
export interface NamedLines {
  readonly lines: readonly TextLine[];
  readonly file: string;
}

/** Share of the documents that ends training, and that judges the result, in per cent. */
const HELD_OUT_PERCENT = 10;

/**
 * Texts by use: 10 % of the documents for validation and, without a test set, 10 % for test. Lines of one document stay
 * together; a line without one is a document of its own. What is in the test set is never learned from.
 * @throws DATASET_INVALID with too few documents, or when the test set holds them all
 */
export function splitTexts(
  data: NamedLines,
  test: NamedLines | undefined,
  seed: number,
): TrainingSplit<TextLine> {
  const judged = new Set(test?.lines.map(({ text }) => normalised(text)));
  const free = data.lines.filter(({ text }) => !judged.has(normalised(text)));
  if (free.length === 0)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${data.file}: every text is also in ${test?.file ?? 'the test set'}, which nothing may be trained on; give other texts.`,
    );
  const testBelow = test ? 0 : HELD_OUT_PERCENT;
  const use = ({ text, doc }: TextLine): keyof TrainingSplit<TextLine> => {
    const bucket = bucketOf(doc === '' ? text : doc, `masked-lm-v1 ${seed}`);
    if (bucket < testBelow) return 'test';
    return bucket < testBelow + HELD_OUT_PERCENT ? 'validation' : 'train';
  };
  const part = (wanted: keyof TrainingSplit<TextLine>) => free.filter((line) => use(line) === wanted);
  const split = { train: part('train'), validation: part('validation'), test: test?.lines ?? part('test') };
  const missing = (['train', 'validation', 'test'] as const).find((name) => split[name].length === 0);
  if (missing !== undefined)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${data.file}: ${free.length} texts are too few to hold some out: none is left for ${missing}; give more documents, or another --seed.`,
    );
  return split;
}
