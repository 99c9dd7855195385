import type { InferenceRuntime, InferenceSession } from '../inference-runtime.port.js';
import { tensor } from '@thalamus/tensor';
import { choicesFor, fastest, withArena, type SessionChoice, type Trial } from './session-choice.js';
import type { Calibration } from './calibrator.port.js';
import { PROBE_VOCABULARY, probeGraph } from './probe-graph.js';

/** What a calibration is measured with. */
export interface CalibrationClock {
  /** Cores that this process may use. */
  readonly cores: number;
  /** Milliseconds of any clock. */
  readonly now: () => number;
  /** Milliseconds of processor time that all used, and that this process used, since any moment. */
  readonly busyMs: () => number;
  readonly ownMs: () => number;
}

/** What one process can find out. */
export type MeasuredSessions = Pick<Calibration, 'choice' | 'trials'>;

const ALONE = { batch: 1, length: 64 };
const BATCH = { batch: 4, length: 64 };
const ROUNDS = 5;
const WARM_UP = 3;
/** Share of the machine that others may use meanwhile: with more, a choice would be one for a busy machine. */
export const BUSY_SHARE = 0.15;

/**
 * Tries every way to make sessions on a probe graph, in rounds that take turns, and chooses. Takes some two seconds on two cores.
 * @returns undefined when others used more of the machine than would let the figures stand
 */
export async function measureSessions(
  runtime: InferenceRuntime,
  clock: CalibrationClock,
): Promise<MeasuredSessions | undefined> {
  const bytes = probeGraph();
  const othersMs = () => clock.busyMs() - clock.ownMs();
  const [startedAt, othersAtStart] = [clock.now(), othersMs()];
  const measure = async (choices: readonly SessionChoice[]) => {
    const sessions: InferenceSession[] = [];
    try {
      for (const choice of choices) sessions.push(await runtime.load({ bytes }, choice));
      return await inTurns(choices, sessions, clock.now);
    } finally {
      await Promise.all(sessions.map((session) => session.release()));
    }
  };
  const trials = await measure(choicesFor(clock.cores));
  const best = fastest(trials);
  const last = await measure([best, { ...best, arena: false }]);
  const [kept, without] = last;
  if (!kept || !without) return undefined;
  const usable = (clock.now() - startedAt) * clock.cores;
  if (othersMs() - othersAtStart > BUSY_SHARE * usable) return undefined;
  return { choice: withArena(kept, without), trials: [...trials, without] };
}

/** Batches a second of sessions made in one way, over so many milliseconds; what `ready` waits for comes between load and measure. */
export async function measureThroughput(
  runtime: InferenceRuntime,
  choice: SessionChoice,
  forMs: number,
  ready: () => Promise<unknown>,
): Promise<number> {
  const session = await runtime.load({ bytes: probeGraph() }, choice);
  const now = () => performance.now();
  for (let round = 0; round < WARM_UP; round++) await timeOf(session, BATCH, now);
  await ready();
  const startedAt = now();
  let batches = 0;
  for (; now() - startedAt < forMs; batches++) await timeOf(session, BATCH, now);
  const perSecond = (1000 * batches) / (now() - startedAt);
  await session.release();
  return perSecond;
}

async function inTurns(
  choices: readonly SessionChoice[],
  sessions: readonly InferenceSession[],
  now: () => number,
): Promise<Trial[]> {
  const times = choices.map(() => ({ alone: [] as number[], batch: [] as number[] }));
  for (let round = 0; round <= ROUNDS; round++)
    for (const [at, session] of sessions.entries()) {
      const alone = await timeOf(session, ALONE, now);
      const batch = await timeOf(session, BATCH, now);
      // The first round fills caches and arenas.
      if (round === 0) continue;
      times[at]?.alone.push(alone);
      times[at]?.batch.push(batch);
    }
  return choices.map((choice, at) => ({
    choice,
    aloneMs: median(times[at]?.alone ?? []),
    batchMs: median(times[at]?.batch ?? []),
  }));
}

async function timeOf(session: InferenceSession, { batch, length }: typeof ALONE, now: () => number) {
  const shape = [batch, length];
  const ids = BigInt64Array.from({ length: batch * length }, (_, at) => BigInt(at % PROBE_VOCABULARY));
  const feeds = {
    input_ids: tensor('int64', shape, ids),
    attention_mask: tensor('int64', shape, new BigInt64Array(batch * length).fill(1n)),
  };
  const startedAt = now();
  await session.run(feeds, { outputs: ['embedding'] });
  return now() - startedAt;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Infinity;
}
