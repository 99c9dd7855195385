import { COMPOSITION_FIGURES } from '@thalamus/bundle';

/** A figure of a registered version. */
export interface FigureRow {
  readonly dataset: string;
  readonly metric: string;
  readonly value: number;
  readonly n: bigint;
}

/** How a composition does on the task of one parent; null where it was not measured. */
export interface ComposedFigures {
  /** Rows that it was judged on. */
  readonly n: number;
  /** Share that the parent alone gets right. */
  readonly parentAccuracy: number | null;
  /** Share that the composition gets right. */
  readonly accuracy: number | null;
  /** The second divided by the first. */
  readonly normalized: number | null;
  /** Share of its rows that the router gives to it; the registry does not know it. */
  readonly routedHere: number | null;
}

/** What the registry knows of a composition on the task of a parent. */
export function composedFigures(rows: readonly FigureRow[], parent: string): ComposedFigures {
  const find = (metric: string) => rows.find((row) => row.dataset === parent && row.metric === metric);
  const own = find(COMPOSITION_FIGURES.accuracy);
  const alone = find(COMPOSITION_FIGURES.parentAccuracy);
  const parentAccuracy = alone?.value ?? null;
  const accuracy = own?.value ?? null;
  return {
    n: Number(own?.n ?? 0n),
    parentAccuracy,
    accuracy,
    normalized:
      accuracy === null || parentAccuracy === null || parentAccuracy === 0 ? null : accuracy / parentAccuracy,
    routedHere: null,
  };
}

/** Mean of what parents keep; null where nothing was measured. */
export function meanNormalized(parents: readonly ComposedFigures[]): number | null {
  const known = parents.flatMap(({ normalized }) => normalized ?? []);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** Share of the parents' rows that the router gives to their own parent; null where it was not measured. */
export function routerAccuracy(rows: readonly FigureRow[]): number | null {
  const { whole, routerAccuracy: metric } = COMPOSITION_FIGURES;
  return rows.find((row) => row.dataset === whole && row.metric === metric)?.value ?? null;
}
