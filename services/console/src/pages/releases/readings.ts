import type { LiveReading, Release, TestReading } from '../../api/release-types.js';

/** Readings that are drawn of one release; older ones are thinned out. */
const MOST = 240;

/** A release with what live traffic said of it. */
export interface WatchedRelease {
  readonly release: Release;
  /** Oldest first, thinned out. */
  readonly readings: readonly LiveReading[];
}

/** The readings with one more: the same again is none, and one that counts less begins anew, as an updater elected since does. */
export function withReading(
  readings: readonly LiveReading[],
  next: LiveReading | null,
): readonly LiveReading[] {
  if (!next) return readings;
  const last = readings.at(-1);
  if (!last) return [next];
  const steps = last.tests.map(({ test, trials }) => trialsOf(next, test) - trials);
  if (steps.some((step) => step < 0)) return [next];
  if (steps.every((step) => step === 0)) return [...readings.slice(0, -1), next];
  const kept = readings.length < MOST ? readings : readings.filter((_, at) => at % 2 === 0);
  return [...kept, next];
}

/** What one test said in them, where it had trials. */
export function seriesOf(readings: readonly LiveReading[], test: string): readonly TestReading[] {
  return readings.flatMap(({ tests }) => tests.filter((own) => own.test === test && own.trials > 0));
}

function trialsOf({ tests }: LiveReading, test: string): number {
  return tests.find((own) => own.test === test)?.trials ?? 0;
}
