import { releaseV1 } from '@thalamus/contracts';
import { openRules, sentenceOf, stageOf } from './gate-standings.js';
import { hasTraffic, type ReleaseRecord } from './release-states.js';

const { ReleaseState } = releaseV1;

/** What the leader knows of a release when it decides. */
export interface Situation {
  /** Milliseconds that SHADOW or the step has been held. */
  readonly heldMs: number;
  /** True when a host has the candidate ready, or it needs none. */
  readonly isReady: boolean;
  /** False when the candidate, or the version before, is registered no longer. */
  readonly isRegistered: boolean;
  /** What live traffic says; undefined while it is not known, as after an election. */
  readonly live: releaseV1.LiveReading | undefined;
  /** How the rules of its gate stand; none without a gate. */
  readonly rules?: readonly releaseV1.RuleStanding[];
}

/** What is to be done with a release now. */
export type Move =
  | { readonly kind: 'wait'; readonly reason: string }
  | {
      readonly kind: 'go';
      readonly state: releaseV1.ReleaseState;
      readonly step: number;
      readonly reason: string;
    }
  | { readonly kind: 'back'; readonly reason: string };

/** What a live release does next: back at once when a limit is broken, on when all that its step needs has come, else it waits. */
export function nextMove({ details }: ReleaseRecord, situation: Situation): Move {
  const { heldMs, isReady, isRegistered, live, rules = [] } = situation;
  const { state } = details;
  if (!isRegistered) return { kind: 'back', reason: 'A version of the release is registered no longer.' };
  const broken = live?.tests.filter(({ alarm }) => alarm) ?? [];
  if (broken.length > 0 && hasTraffic(state)) return { kind: 'back', reason: broken.map(sentence).join(' ') };
  if (details.stopped !== '') return wait(details.stopped);
  if (!isReady) return wait(`No host has ${details.expert}@${details.toVersion} ready yet.`);
  if (!hasTraffic(state)) return onward(details, 'A host has the candidate ready.');
  return live
    ? stepEnd(details, Number(live.stepSamples), heldMs, rules)
    : wait('What live traffic says is still being read.');
}

/** On, when the step has had its samples and its time, and the rules of a state that ends with it have passed. */
function stepEnd(
  details: releaseV1.Release,
  samples: number,
  heldMs: number,
  rules: NonNullable<Situation['rules']>,
): Move {
  const { minimumSamples = 0, stepSeconds = 0 } = details.plan ?? {};
  if (samples < minimumSamples) return wait(`${samples} of ${minimumSamples} samples have come.`);
  if (heldMs < stepSeconds * 1_000)
    return wait(`${Math.floor(heldMs / 1_000)} of ${stepSeconds} s have passed.`);
  const isLast = details.state !== ReleaseState.CANARY || details.step >= (details.plan?.steps.length ?? 0);
  const { failed, inconclusive } = openRules(isLast ? rules : [], stageOf(details.state));
  const gate = details.gate?.name ?? '';
  if (failed.length > 0) return { kind: 'back', reason: sentenceOf(gate, 'failed', failed) };
  if (inconclusive.length > 0) return wait(sentenceOf(gate, 'has not passed yet', inconclusive));
  return onward(details, `${samples} samples in ${Math.round(heldMs / 1_000)} s, and no limit is broken.`);
}

/** Where a live release goes when it goes on. */
export function onward(details: releaseV1.Release, reason: string): Move {
  const steps = details.plan?.steps ?? [];
  const go = (state: releaseV1.ReleaseState, step = 0): Move => ({ kind: 'go', state, step, reason });
  if (!hasTraffic(details.state))
    return (details.plan?.mirrorShare ?? 0) > 0 || details.probes
      ? go(ReleaseState.SHADOW)
      : go(ReleaseState.CANARY, 1);
  if (details.state === ReleaseState.SHADOW) return go(ReleaseState.CANARY, 1);
  return details.step < steps.length ? go(ReleaseState.CANARY, details.step + 1) : go(ReleaseState.STABLE);
}

const wait = (reason: string): Move => ({ kind: 'wait', reason });

function sentence({ test, events, trials, low, limit, pValue }: releaseV1.TestReading): string {
  return `${test}: ${events} of ${trials} against the candidate, above the limit of ${percent(limit)} (lower end ${percent(low)}, p ${pValue.toExponential(1)}).`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
