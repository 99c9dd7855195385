// Normalised scores of kept lines, with intervals.
import { createRandom } from '@thalamus/tensor';

const RESAMPLES = 500;
const isRight = (bits, at) => bits[at] === '1';

/**
 * Mean over tasks of accuracy divided by the parent's own, percent; rows are drawn anew within each task for the 95 % interval, the same
 * for all seeds, which are averaged.
 */
export function normalised(lines, protocol, tasks) {
  const seeds = [...new Set(lines.map(({ seed }) => seed))];
  const of = seeds.map((seed) =>
    lines.filter((line) => line.seed === seed && (!tasks || tasks.includes(line.task))),
  );
  const score = (draw) =>
    mean(
      of.map((own) =>
        mean(
          own.map((line) => {
            const rows = draw(line);
            const count = (bits) => rows.reduce((sum, at) => sum + (isRight(bits, at) ? 1 : 0), 0);
            return count(line[protocol]) / Math.max(1, count(line.alone));
          }),
        ),
      ),
    );
  const all = ({ alone }) => [...alone].map((_, at) => at);
  const random = createRandom(7);
  const resampled = Array.from({ length: RESAMPLES }, () => {
    const drawn = new Map();
    return score((line) => {
      if (!drawn.has(line.task))
        drawn.set(
          line.task,
          all(line).map(() => random.below(line.alone.length)),
        );
      return drawn.get(line.task);
    });
  }).sort((a, b) => a - b);
  return {
    value: 100 * score(all),
    low: 100 * resampled[Math.floor(0.025 * RESAMPLES)],
    high: 100 * resampled[Math.floor(0.975 * RESAMPLES)],
    seeds: seeds.length,
  };
}

/** Mean share of the rows of each task that went to its own parent, percent. */
export function routing(lines, tasks) {
  const own = lines.filter(({ task }) => !tasks || tasks.includes(task));
  return 100 * mean(own.map(({ routed }) => [...routed].filter((bit) => bit === '1').length / routed.length));
}

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
