/** Singular values of one matrix, largest first, as many as were computed. */
export interface Spectrum {
  readonly rows: number;
  readonly columns: number;
  /** Sum of the squares of all singular values, those that were not computed included. */
  readonly energy: number;
  readonly s: Float64Array;
}

/** How much of exclusive vectors is kept. */
export type RankRule =
  /** This share of the smaller side of each matrix, at least 1. */
  | { readonly kind: 'fraction'; readonly fraction: number }
  /** The same rank for every matrix. */
  | { readonly kind: 'rank'; readonly rank: number }
  /** For each matrix the least rank that keeps this share of its energy; at most half its smaller side. */
  | { readonly kind: 'energy'; readonly share: number }
  /** The ranks that keep most energy in this many bytes of factors, two bytes a number. */
  | { readonly kind: 'bytes'; readonly bytes: number };

/** Bytes of a number in a stored factor: float16. */
export const FACTOR_BYTES = 2;
/** Largest share of the smaller side that rules by energy and bytes may choose: beyond it factors are larger than the matrix. */
const MOST = 0.5;

/** Largest rank that a rule may ask for of a matrix [rows, columns]. */
export function maxRankOf(rule: RankRule): (rows: number, columns: number) => number {
  return (rows, columns) => {
    const side = Math.min(rows, columns);
    if (rule.kind === 'fraction') return ofFraction(rule.fraction, side);
    if (rule.kind === 'rank') return Math.min(rule.rank, side);
    return Math.max(1, Math.floor(MOST * side));
  };
}

/** Ranks [matrix][parent] by a rule. Matrices that do not change have rank 0. */
export function chooseRanks(
  spectra: ReadonlyMap<string, readonly Spectrum[]>,
  rule: RankRule,
): ReadonlyMap<string, readonly number[]> {
  if (rule.kind === 'bytes') return withinBytes(spectra, rule.bytes);
  const rankOf = (spectrum: Spectrum) => {
    if (rule.kind === 'energy') return leastRank(spectrum, rule.share);
    return Math.min(maxRankOf(rule)(spectrum.rows, spectrum.columns), spectrum.s.length);
  };
  return new Map([...spectra].map(([name, all]) => [name, all.map(rankOf)]));
}

function ofFraction(fraction: number, side: number): number {
  return Math.min(side, Math.max(1, Math.floor(fraction * side)));
}

function leastRank({ s, energy }: Spectrum, share: number): number {
  let kept = 0;
  for (let rank = 0; rank < s.length; rank++) {
    if (kept >= share * energy) return rank;
    kept += s[rank]! ** 2;
  }
  return s.length;
}

/**
 * Greedy: directions in the order of energy a byte; what no longer fits is passed over. Within a matrix that is their own order.
 * A larger budget keeps no less energy, though a single matrix may have a lower rank.
 */
function withinBytes(spectra: ReadonlyMap<string, readonly Spectrum[]>, budget: number) {
  const ranks = new Map([...spectra].map(([name, all]) => [name, all.map(() => 0)]));
  const directions = [...spectra].flatMap(([name, all]) =>
    all.flatMap(({ s, rows, columns }, parent) => {
      const bytes = FACTOR_BYTES * (rows + columns);
      return Array.from(s, (value) => ({ name, parent, bytes, worth: value ** 2 / bytes }));
    }),
  );
  directions.sort((a, b) => b.worth - a.worth);
  let spent = 0;
  for (const { name, parent, bytes, worth } of directions) {
    if (worth === 0 || spent + bytes > budget) continue;
    spent += bytes;
    ranks.get(name)![parent]! += 1;
  }
  return ranks;
}
