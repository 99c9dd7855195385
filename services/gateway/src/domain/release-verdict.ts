import { releaseV1 } from '@thalamus/contracts';

const { ReleaseState, Verdict } = releaseV1;

/** What can be said of a candidate, in the words of the offline comparison. */
export const VERDICTS = ['compatible', 'incompatible', 'inconclusive'] as const;

/** What a release says of its candidate now, and on what that rests, in one sentence or more. */
export interface ReleaseVerdict {
  readonly verdict: (typeof VERDICTS)[number];
  readonly reason: string;
}

/**
 * Whether a release has shown that its candidate breaks nothing. What ended it is final: promoted, by itself or by hand, is
 * compatible, and taken back is not. Before that it is inconclusive while it is
 * repaired, incompatible as soon as a test of live traffic is in alarm or the offline
 * comparison said so, even where somebody let it go on; compatible when its last step has had all it needs; else inconclusive.
 */
export function verdictOf(release: releaseV1.Release): ReleaseVerdict {
  const { state, comparison, history } = release;
  const last = history.at(-1)?.reason ?? '';
  if (state === ReleaseState.ROLLED_BACK) return { verdict: 'incompatible', reason: `Taken back: ${last}` };
  if (state === ReleaseState.STABLE) return { verdict: 'compatible', reason: `Promoted: ${last}` };
  const repair = runningRepair(release);
  if (repair) return { verdict: 'inconclusive', reason: `Under repair: job ${repair.jobId} works on it.` };
  const alarms = release.live?.tests.filter(({ alarm }) => alarm) ?? [];
  if (alarms.length > 0) return { verdict: 'incompatible', reason: alarms.map(sentence).join(' ') };
  if (comparison?.verdict === Verdict.INCOMPATIBLE)
    return { verdict: 'incompatible', reason: `Compared offline: ${comparison.reason}` };
  if (release.stopped !== '') return { verdict: 'inconclusive', reason: `Stopped: ${release.stopped}` };
  if (hasAllItNeeds(release))
    return { verdict: 'compatible', reason: 'Every step has had its samples and its time, without alarm.' };
  return { verdict: 'inconclusive', reason: release.waitingFor || 'The release goes on.' };
}

/** What was said of the candidate is of the one that its repair replaces. */
function runningRepair({ state, repair }: releaseV1.Release): releaseV1.Repair | undefined {
  const isBefore = [ReleaseState.DRAFT, ReleaseState.COMPARED].includes(state);
  return isBefore && repair?.ended === false ? repair : undefined;
}

/** True at the end of the last step, also while nothing moves the release on. */
function hasAllItNeeds({ state, step, plan, live, stepHeldMs }: releaseV1.Release): boolean {
  if (state !== ReleaseState.CANARY || !plan || !live || step < plan.steps.length) return false;
  return Number(live.stepSamples) >= plan.minimumSamples && Number(stepHeldMs) >= plan.stepSeconds * 1_000;
}

function sentence({ test, events, trials, limit }: releaseV1.TestReading): string {
  return `${test}: ${events} of ${trials} against the candidate, above the limit of ${limit}.`;
}
