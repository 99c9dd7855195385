import type { ContractDifference, TokenizerContract } from './model-contract.js';

/**
 * How texts become tokens: what counts is what a probe set becomes, and where there is none, the file.
 * @throws RangeError for probe sets of unlike size
 */
export function tokenizerDifference(
  before: TokenizerContract,
  after: TokenizerContract,
): ContractDifference[] {
  const isOtherFile = before.digest !== after.digest;
  if (!before.probe || !after.probe)
    return isOtherFile
      ? [
          difference(
            'risky',
            'The tokenizer is another file, and nothing says whether texts become the same tokens.',
          ),
        ]
      : [];
  if (before.probe.length !== after.probe.length)
    throw new RangeError(
      `Contract: ${before.probe.length} texts of a probe set were tokenized by the old version and ${after.probe.length} by the new; give both the same.`,
    );
  const others = before.probe.filter((ids, at) => !isSame(ids, after.probe![at]!)).length;
  if (others > 0)
    return [
      difference(
        'breaking',
        `${others} of ${before.probe.length} probe texts become other tokens${isOtherFile ? '' : ', though the tokenizer is the same file'}: callers that send token ids, and everything learned on them, take them for others.`,
      ),
    ];
  return isOtherFile
    ? [
        difference(
          'safe',
          `The tokenizer is another file that makes the same tokens of ${before.probe.length} probe texts.`,
        ),
      ]
    : [];
}

function difference(severity: ContractDifference['severity'], sentence: string): ContractDifference {
  return { field: 'tokenizer', change: 'changed', severity, sentence };
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at]);
}
