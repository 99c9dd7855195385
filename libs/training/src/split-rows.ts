import { createHash } from 'node:crypto';

/** What a row of a train file may be used for. */
export type RowUse = 'expert' | 'router' | 'validation';

/** Shares of the uses, in per cent; they add up to 100. */
export type SplitRule = Readonly<Record<RowUse, number>>;

/**
 * Use of a row by a hash of its text (case and white space do not matter), so that the same text is never in two parts,
 * whatever the order of the file.
 */
export function rowUse(text: string, rule: SplitRule): RowUse {
  const normal = text.toLowerCase().replace(/\s+/g, ' ').trim();
  const bucket = createHash('sha256').update(`split-v1\n${normal}`).digest().readUInt32BE(0) % 100;
  if (bucket < rule.expert) return 'expert';
  return bucket < rule.expert + rule.router ? 'router' : 'validation';
}
