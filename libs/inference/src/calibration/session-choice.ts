import type { HeldWeights } from '../inference-runtime.port.js';

/** How the sessions of a host are made. */
export interface SessionChoice {
  /** Threads inside one operator. */
  readonly threads: number;
  readonly weights: HeldWeights;
  /** Whether memory that a run frees is kept for the next one. */
  readonly arena: boolean;
}

/** What sessions made in one way took, milliseconds of the wall: the median of rounds that took turns. */
export interface Trial {
  readonly choice: SessionChoice;
  /** One text alone. */
  readonly aloneMs: number;
  /** A full batch. */
  readonly batchMs: number;
}

/** What is right where nothing was measured: one thread takes no core from others, and nothing grows. */
export const PLAIN: SessionChoice = { threads: 1, weights: 'stored', arena: true };

/** More threads gain little inside operators as small as those of an encoder. */
export const MOST_THREADS = 8;
/** What a more expensive way must gain. */
const WORTH_IT = 1.05;
/** What memory that is given back at once may cost. */
const ARENA_COST = 1.05;

/** The ways that are worth a trial on a machine, the cheapest first: threads in powers of two, weights in either form. */
export function choicesFor(cores: number): SessionChoice[] {
  const threads = [1, 2, 4, MOST_THREADS].filter((count) => count <= cores);
  return threads.flatMap((count) => [
    { ...PLAIN, threads: count },
    { ...PLAIN, threads: count, weights: 'expanded' as const },
  ]);
}

/** The way that answers fastest, a lone text and a full batch counting alike; a cheaper one when it is nearly as fast. */
export function fastest(trials: readonly Trial[]): SessionChoice {
  const best = Math.min(...trials.map(timeOf));
  return trials.find((trial) => timeOf(trial) <= best * WORTH_IT)?.choice ?? PLAIN;
}

/** The same without an arena, where that costs next to nothing. */
export function withArena(kept: Trial, without: Trial): SessionChoice {
  return timeOf(without) <= timeOf(kept) * ARENA_COST ? without.choice : kept.choice;
}

/** What a second process must gain in throughput to be worth its memory. */
const SECOND_PROCESS = 1.15;

/** More processes of one graph are never chosen. */
export const MOST_CHILDREN = 2;

/** Processes that one graph may have while it is busy, by how much the second adds to the batches that are done in a second. */
export function childrenFor(gain: number): number {
  return gain >= SECOND_PROCESS ? MOST_CHILDREN : 1;
}

/** How many times as fast as another one. */
export function speedUp(trial: Trial, than: Trial): number {
  return timeOf(than) / timeOf(trial);
}

function timeOf({ aloneMs, batchMs }: Trial): number {
  return Math.sqrt(aloneMs * batchMs);
}
