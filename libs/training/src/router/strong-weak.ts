/** A router between two models, on measured prompts. */
export interface TwoModelRouting {
  /** By how much the router expects the strong model to be better, for each prompt: larger is sent there first. */
  readonly advantage: ArrayLike<number>;
  /** Quality of each model for each prompt. */
  readonly strong: ArrayLike<number>;
  readonly weak: ArrayLike<number>;
}

/** Figures of RouteLLM (Ong and others 2024, section 3). */
export interface StrongWeakFigures {
  /** Average performance gap recovered: area between curve and weak model, over that of the strong one; a coin has 0.5. */
  readonly apgr: number;
  /** Share of calls to the strong model at which half of the gap is closed. */
  readonly cpt50: number;
  /** The same for 80 %. */
  readonly cpt80: number;
  /** Share of calls at which 95 % of the quality of the strong model is reached. */
  readonly calls95: number;
}

/** A point of the curve. */
export interface StrongWeakPoint {
  readonly strongShare: number;
  readonly quality: number;
}

/** Points of the curve at which thresholds lie, beside both ends. */
const POINTS = 100;

/**
 * Quality by the share of prompts that are sent to the strong model, those with the largest advantage first; equal advantages
 * are drawn by lot, so that the curve is straight over them.
 */
export function strongWeakCurve(routing: TwoModelRouting, points = POINTS): StrongWeakPoint[] {
  const { advantage, strong, weak } = routing;
  const n = strong.length;
  const order = Array.from({ length: n }, (_, at) => at).sort(
    (a, b) => advantage[b]! - advantage[a]! || a - b,
  );
  const qualities = new Float64Array(n + 1);
  for (let at = 0; at < n; at++) qualities[0]! += weak[at]! / n;
  for (let from = 0; from < n;) {
    let to = from;
    let gain = 0;
    for (; to < n && advantage[order[to]!] === advantage[order[from]!]; to++)
      gain += (strong[order[to]!]! - weak[order[to]!]!) / n;
    for (let at = from; at < to; at++) qualities[at + 1] = qualities[at]! + gain / (to - from);
    from = to;
  }
  return Array.from({ length: points + 1 }, (_, step) => {
    const calls = Math.round((step * n) / points);
    return { strongShare: calls / n, quality: qualities[calls]! };
  });
}

/** Figures of the curve. */
export function strongWeakFigures(routing: TwoModelRouting): StrongWeakFigures {
  const curve = strongWeakCurve(routing, Math.min(1000, routing.strong.length));
  const weak = curve[0]!.quality;
  const strong = curve.at(-1)!.quality;
  let area = 0;
  for (let at = 1; at < curve.length; at++) {
    const [a, b] = [curve[at - 1]!, curve[at]!];
    area += ((a.quality + b.quality) / 2 - weak) * (b.strongShare - a.strongShare);
  }
  const reach = (quality: number) => shareAt(curve, quality);
  return {
    apgr: area / (strong - weak),
    cpt50: reach(weak + 0.5 * (strong - weak)),
    cpt80: reach(weak + 0.8 * (strong - weak)),
    calls95: reach(0.95 * strong),
  };
}

/** Least share at which the curve reaches a quality, between its points by a straight line. */
function shareAt(curve: readonly StrongWeakPoint[], quality: number): number {
  const at = curve.findIndex((point) => point.quality >= quality);
  if (at <= 0) return at === 0 ? 0 : 1;
  const [a, b] = [curve[at - 1]!, curve[at]!];
  return a.strongShare + ((quality - a.quality) / (b.quality - a.quality)) * (b.strongShare - a.strongShare);
}
