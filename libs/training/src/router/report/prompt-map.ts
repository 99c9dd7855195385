import { MAP_EXTENT, MAX_MAP_LABELS, MAX_MAP_POINTS, type RouterEvaluationReport } from '@thalamus/bundle';
import { affine } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import { principalProjection } from '../principal-directions.js';
import type { RoutingRow } from '../routing-table.js';
import { bestExperts, chanceAgreement, neighbourAgreement, type PromptFacts } from './neighbour-agreement.js';
import { planeLayout, type PlaneLayout } from './plane-layout.js';
import { nearestRows, squaredDistances } from './squared-distances.js';

/** Vectors of prompts in one space. */
export interface PromptSpace {
  readonly space: RouterEvaluationReport['map']['spaces'][number]['space'];
  /** [prompts, dimension] */
  readonly vectors: Float32Array;
  readonly dimension: number;
}

/** What a map is made of: prompts with the spaces that they are seen in. */
export interface MappedPrompts {
  readonly rows: readonly RoutingRow[];
  /** Index of the candidate that each is routed to. */
  readonly chosen: ArrayLike<number>;
  readonly spaces: readonly PromptSpace[];
  readonly seed: number;
}

/** Neighbours that are asked whether they agree. */
const NEIGHBOURS = 10;
/** Name of rows without a control label, and of those beyond the most that a map has colours for. */
const UNLABELLED = 'no label';
const OTHERS = 'others';

/** Rows that a map of `rows` prompts shows: all, or so many of them by chance, in their order. */
export function mapRows(rows: number, seed: number, most = MAX_MAP_POINTS): number[] {
  const all = Array.from({ length: rows }, (_, at) => at);
  if (rows <= most) return all;
  return createRandom(seed)
    .shuffle(all)
    .slice(0, most)
    .sort((a, b) => a - b);
}

/** The map of prompts in each space, with how far neighbours agree. Deterministic for a seed. */
export function promptMap({ rows, chosen, spaces, seed }: MappedPrompts): RouterEvaluationReport['map'] {
  const { labels, label } = labelsOf(rows);
  const facts: PromptFacts = { label, best: rows.map(({ losses }) => bestExperts(losses)) };
  const neighbours = Math.min(NEIGHBOURS, rows.length - 1);
  return {
    neighbours,
    chance: rounded(chanceAgreement(facts)),
    labels,
    label,
    chosen: Array.from(chosen),
    spaces: spaces.map(({ space, vectors, dimension }) => {
      const distances = squaredDistances(vectors, dimension);
      const places = planeLayout(distances, principalPlaces(vectors, dimension, seed));
      return {
        space,
        purity: rounded(neighbourAgreement(facts, nearestRows(distances, neighbours))),
        ...onGrid(places),
      };
    }),
  };
}

/** Control labels by how often they come, and the index of each row's. */
function labelsOf(rows: readonly RoutingRow[]): { labels: string[]; label: number[] } {
  const names = rows.map(({ task }) => (task.trim() === '' ? UNLABELLED : task.slice(0, 200)));
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const order = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([name]) => name);
  const labels = order.length <= MAX_MAP_LABELS ? order : [...order.slice(0, MAX_MAP_LABELS - 1), OTHERS];
  const index = new Map(labels.map((name, at) => [name, at]));
  return { labels, label: names.map((name) => index.get(name) ?? labels.length - 1) };
}

/** Places along the two principal directions. */
function principalPlaces(vectors: Float32Array, dimension: number, seed: number): PlaneLayout {
  const n = vectors.length / dimension;
  const mean = new Float64Array(dimension);
  vectors.forEach((value, at) => (mean[at % dimension]! += value / n));
  const centred = vectors.map((value, at) => value - mean[at % dimension]!);
  const projection = principalProjection(centred, dimension, 2, seed);
  const width = projection.length / dimension;
  const places = affine(centred, dimension, projection, new Float32Array(width));
  const axis = (column: number) =>
    Float64Array.from({ length: n }, (_, row) => places[row * width + column] ?? 0);
  return { x: axis(0), y: axis(1) };
}

/** Whole coordinates from 0 on, with one scale for both axes. */
function onGrid({ x, y }: PlaneLayout): { x: number[]; y: number[] } {
  const low = (axis: Float64Array) => axis.reduce((least, value) => Math.min(least, value), Infinity);
  const high = (axis: Float64Array) => axis.reduce((most, value) => Math.max(most, value), -Infinity);
  const scale = MAP_EXTENT / (Math.max(high(x) - low(x), high(y) - low(y)) || 1);
  const whole = (axis: Float64Array) => {
    const margin = (MAP_EXTENT - (high(axis) - low(axis)) * scale) / 2;
    return Array.from(axis, (value) =>
      Math.min(MAP_EXTENT, Math.max(0, Math.round(margin + (value - low(axis)) * scale))),
    );
  };
  return { x: whole(x), y: whole(y) };
}

function rounded({ label, best }: { label: number; best: number | null }) {
  return { label: Number(label.toFixed(4)), best: best === null ? null : Number(best.toFixed(4)) };
}
