import { columnMeans } from './loss-matrix.js';

/** Words and pairs of words of a text, lower case. */
function termsOf(text: string): Map<string, number> {
  const words =
    text
      .toLowerCase()
      .match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu)
      ?.slice(0, 2000) ?? [];
  const terms = new Map<string, number>();
  words.forEach((word, at) => {
    for (const term of at === 0 ? [word] : [word, `${words[at - 1]!} ${word}`])
      terms.set(term, (terms.get(term) ?? 0) + 1);
  });
  return terms;
}

/**
 * A baseline: mean loss of the `neighbours` fitted texts with the largest cosine of TF-IDF vectors of words and pairs of words,
 * each weighed by its cosine. Losses are [texts, candidates], NaN for no result; the answer is [asked, candidates].
 */
export function textNeighbourLosses(
  fitted: { readonly texts: readonly string[]; readonly losses: Float64Array },
  asked: readonly string[],
  candidates: number,
  neighbours: number,
): Float64Array {
  const index = buildIndex(fitted.texts);
  const means = columnMeans(fitted.losses, candidates);
  const result = new Float64Array(asked.length * candidates);
  const cosines = new Float64Array(fitted.texts.length);
  asked.forEach((text, row) => {
    cosines.fill(0);
    for (const [term, weight] of weighed(termsOf(text), index.rarity))
      for (const { text: at, weight: own } of index.postings.get(term) ?? []) cosines[at]! += weight * own;
    const near = Array.from(cosines.keys())
      .filter((at) => cosines[at]! > 0)
      .sort((a, b) => cosines[b]! - cosines[a]! || a - b)
      .slice(0, neighbours);
    for (let k = 0; k < candidates; k++) {
      let sum = 0;
      let total = 0;
      for (const at of near) {
        const loss = fitted.losses[at * candidates + k]!;
        if (Number.isNaN(loss)) continue;
        sum += cosines[at]! * loss;
        total += cosines[at]!;
      }
      result[row * candidates + k] = total > 0 ? sum / total : means[k]!;
    }
  });
  return result;
}

function buildIndex(texts: readonly string[]) {
  const terms = texts.map(termsOf);
  const seen = new Map<string, number>();
  for (const own of terms) for (const term of own.keys()) seen.set(term, (seen.get(term) ?? 0) + 1);
  const rarity = new Map(
    Array.from(seen, ([term, count]) => [term, Math.log((1 + texts.length) / (1 + count)) + 1]),
  );
  const postings = new Map<string, { readonly text: number; readonly weight: number }[]>();
  terms.forEach((own, text) => {
    for (const [term, weight] of weighed(own, rarity)) {
      const list = postings.get(term) ?? [];
      list.push({ text, weight });
      postings.set(term, list);
    }
  });
  return { rarity, postings };
}

/** TF-IDF of length 1; terms that no fitted text has are left out. */
function weighed(
  terms: ReadonlyMap<string, number>,
  rarity: ReadonlyMap<string, number>,
): [string, number][] {
  const values = Array.from(terms).flatMap(([term, count]): [string, number][] => {
    const rare = rarity.get(term);
    return rare === undefined ? [] : [[term, (1 + Math.log(count)) * rare]];
  });
  const norm = Math.sqrt(values.reduce((sum, [, value]) => sum + value * value, 0)) || 1;
  return values.map(([term, value]) => [term, value / norm]);
}
