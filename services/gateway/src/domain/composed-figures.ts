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
  /** Loss of the parent alone, nats a hidden word piece; of masked language models, which have no accuracy. */
  readonly parentNats: number | null;
  /** Loss of the composition. */
  readonly nats: number | null;
  /** Accuracy divided by that of the parent, or exp(parentNats - nats). */
  readonly normalized: number | null;
  /** Share of its rows that the router gives to it; the registry does not know it. */
  readonly routedHere: number | null;
}

/** What the registry knows of a composition on the task of a parent. */
export function composedFigures(rows: readonly FigureRow[], parent: string): ComposedFigures {
  const find = (metric: string) => rows.find((row) => row.dataset === parent && row.metric === metric);
  const value = (metric: string) => find(metric)?.value ?? null;
  const figures = {
    parentAccuracy: value(COMPOSITION_FIGURES.parentAccuracy),
    accuracy: value(COMPOSITION_FIGURES.accuracy),
    parentNats: value(COMPOSITION_FIGURES.parentNats),
    nats: value(COMPOSITION_FIGURES.nats),
  };
  const own = find(COMPOSITION_FIGURES.accuracy) ?? find(COMPOSITION_FIGURES.nats);
  return { n: Number(own?.n ?? 0n), ...figures, normalized: normalizedOf(figures), routedHere: null };
}

function normalizedOf({
  parentAccuracy,
  accuracy,
  parentNats,
  nats,
}: Pick<ComposedFigures, 'parentAccuracy' | 'accuracy' | 'parentNats' | 'nats'>): number | null {
  if (nats !== null && parentNats !== null) return Math.exp(parentNats - nats);
  return accuracy === null || parentAccuracy === null || parentAccuracy === 0
    ? null
    : accuracy / parentAccuracy;
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
