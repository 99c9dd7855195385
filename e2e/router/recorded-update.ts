import { readFileSync } from 'node:fs';

/** Scores of versions of two models on the same items, before and after an update. */
interface Recorded {
  readonly models: readonly string[];
  /** By task, of each model: 1 or 0 an item. */
  readonly tasks: Readonly<Record<string, readonly string[]>>;
}

/** One model of the recording at one task. */
export interface RecordedExpert {
  readonly expert: string;
  /** Mean error of the version that the router model was fitted on. */
  readonly predicted: number;
  /** Scores of that version, and of the one after it. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/**
 * GPT-4 of March and of June 2023 and GPT-3.5 of June at telling primes: the update made GPT-4 the worse of the two. The
 * recording stands in libs/routing with its origin and licence.
 */
export function recordedUpdate(): { readonly fallen: RecordedExpert; readonly steady: RecordedExpert } {
  const file = new URL('../../libs/routing/src/online/__golden__/llmdrift-scores.json', import.meta.url);
  const { models, tasks } = JSON.parse(readFileSync(file, 'utf8')) as Recorded;
  const scores = (model: string) => Array.from(tasks['prime']?.[models.indexOf(model)] ?? '', Number);
  const expert = (name: string, before: string, after: string) => ({
    expert: name,
    predicted: 1 - mean(scores(before)),
    before: scores(before),
    after: scores(after),
  });
  return {
    fallen: expert('gpt-4', 'gpt-4-0314', 'gpt-4-0613'),
    steady: expert('gpt-3-5', 'gpt-3.5-turbo-0613', 'gpt-3.5-turbo-0613'),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
