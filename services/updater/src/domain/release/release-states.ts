import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { releaseV1, type registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';

const { ReleaseState } = releaseV1;
type State = releaseV1.ReleaseState;

/** A release as the registry keeps it, with its details. */
export interface ReleaseRecord extends registryV1.ReleaseSummary {
  readonly details: releaseV1.Release;
}

/** Who takes a step, why, and what it rests on. */
export interface StepReason {
  readonly by: string;
  readonly reason: string;
  /** Digests. */
  readonly evidence?: readonly string[];
  /** Unix milliseconds. */
  readonly atMs: number;
}

/** Who moves a release that nobody moves by hand. */
export const GATE = 'gate';
/** How long gateways may follow a release that nobody renews, milliseconds. */
export const LEASE_MS = 15_000;
/** Longest reason that is kept. */
const MAX_REASON = 1_000;

/** Where a release may go from each state. A canary may go on to its next step. */
const NEXT: Readonly<Record<State, readonly State[]>> = {
  [ReleaseState.UNSPECIFIED]: [ReleaseState.DRAFT],
  [ReleaseState.DRAFT]: [
    ReleaseState.COMPARED,
    ReleaseState.REPAIRED,
    ReleaseState.SHADOW,
    ReleaseState.CANARY,
    ReleaseState.STABLE,
    ReleaseState.ROLLED_BACK,
  ],
  [ReleaseState.COMPARED]: [
    ReleaseState.REPAIRED,
    ReleaseState.SHADOW,
    ReleaseState.CANARY,
    ReleaseState.STABLE,
    ReleaseState.ROLLED_BACK,
  ],
  [ReleaseState.REPAIRED]: [
    ReleaseState.SHADOW,
    ReleaseState.CANARY,
    ReleaseState.STABLE,
    ReleaseState.ROLLED_BACK,
  ],
  [ReleaseState.SHADOW]: [ReleaseState.CANARY, ReleaseState.STABLE, ReleaseState.ROLLED_BACK],
  [ReleaseState.CANARY]: [ReleaseState.CANARY, ReleaseState.STABLE, ReleaseState.ROLLED_BACK],
  [ReleaseState.STABLE]: [ReleaseState.ROLLED_BACK],
  [ReleaseState.ROLLED_BACK]: [],
};

/** True while a release may still change what callers get: one at a time an expert. */
export function isLive(state: State): boolean {
  return ![ReleaseState.UNSPECIFIED, ReleaseState.STABLE, ReleaseState.ROLLED_BACK].includes(state);
}

/** True while gateways send the candidate anything, and so need a lease. */
export function hasTraffic(state: State): boolean {
  return state === ReleaseState.SHADOW || state === ReleaseState.CANARY;
}

/** True while a release waits for the job that repairs its candidate; another way that it went meanwhile ends that. */
export function isRepairing({ state, repair }: releaseV1.Release): boolean {
  return repair?.ended === false && (state === ReleaseState.DRAFT || state === ReleaseState.COMPARED);
}

/** Name of a state as the registry keeps it, without prefix. */
export function stateName(state: State): string {
  return ReleaseState[state];
}

/** What goes into a state beside its name. */
export interface Arrival {
  /** Number of the canary step, from 1; 0 outside of CANARY. */
  readonly step?: number;
  /** Why it goes no further by itself. */
  readonly stopped?: string;
}

/**
 * The release one transition on: state, weight, lease, history. Steps begin with no time held.
 * @throws RELEASE_CONFLICT for a transition that is not allowed
 */
export function moved(
  release: ReleaseRecord,
  state: State,
  why: StepReason,
  { step = 0, stopped = '' }: Arrival = {},
): ReleaseRecord {
  const { details } = release;
  if (!NEXT[details.state].includes(state)) throw notAllowed(release, state);
  const weight = weightIn(state, step, details.plan);
  const at = timestampFromMs(why.atMs);
  const transition = {
    $typeName: 'thalamus.release.v1.Transition' as const,
    state,
    at,
    by: why.by,
    reason: why.reason.slice(0, MAX_REASON),
    evidence: [...(why.evidence ?? [])],
  };
  const next: ReleaseRecord = {
    ...release,
    state: stateName(state),
    weight,
    mirrorShare: hasTraffic(state) ? (details.plan?.mirrorShare ?? 0) : 0,
    details: {
      ...details,
      ...{ state, weight, step, stopped },
      stepHeldMs: 0n,
      ...(hasTraffic(state) ? { stepBeganAt: at } : {}),
      ...(hasTraffic(state) && !details.trafficBeganAt ? { trafficBeganAt: at } : {}),
      history: [...details.history, transition],
    },
  };
  delete next.leaseExpiresAt;
  return hasTraffic(state) ? { ...next, leaseExpiresAt: timestampFromMs(why.atMs + LEASE_MS) } : next;
}

/** The release with its lease renewed and the time that its step was held until now. */
export function renewed(release: ReleaseRecord, heldMs: number, nowMs: number): ReleaseRecord {
  return {
    ...release,
    leaseExpiresAt: timestampFromMs(nowMs + LEASE_MS),
    details: { ...release.details, stepHeldMs: BigInt(Math.round(heldMs)) },
  };
}

/** The expert as it must be once a release of it has moved, so that hosts load what gets traffic, and load it before it gets any. */
export function expertAfter(
  expert: registryV1.Expert,
  before: releaseV1.ReleaseState,
  { fromVersion, toVersion, details }: ReleaseRecord,
): registryV1.Expert {
  const free = {
    ...expert,
    candidate: expert.candidate === toVersion ? '' : expert.candidate,
    shadow: expert.shadow === toVersion ? '' : expert.shadow,
  };
  // What is being repaired will not be served.
  if (details.stopped !== '' || isRepairing(details)) return free;
  switch (details.state) {
    case ReleaseState.CANARY:
      return { ...free, candidate: toVersion };
    case ReleaseState.STABLE:
      return { ...free, stable: toVersion };
    case ReleaseState.ROLLED_BACK:
      return before === ReleaseState.STABLE ? { ...free, stable: fromVersion } : free;
    default:
      return { ...free, shadow: toVersion };
  }
}

function weightIn(state: State, step: number, plan: releaseV1.ReleasePlan | undefined): number {
  if (state === ReleaseState.STABLE) return 1;
  return state === ReleaseState.CANARY ? (plan?.steps[step - 1] ?? 0) : 0;
}

function notAllowed({ id, details }: ReleaseRecord, state: State): ThalamusError {
  const is = stateName(details.state);
  const text =
    details.state === state
      ? `The release ${id} is ${is} already.`
      : `The release ${id} is ${is}; it cannot become ${stateName(state)}.`;
  return new ThalamusError('RELEASE_CONFLICT', text, { metadata: { release: id, state: is } });
}
