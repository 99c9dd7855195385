import { create, type JsonObject } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import {
  isLive,
  isRepairing,
  moved,
  stateName,
  type ReleaseRecord,
  type StepReason,
} from './release-states.js';

const { ReleaseState } = releaseV1;
/** Longest reason why a release stands. */
const MAX_STOPPED = 1_000;

/** A repair that is asked for. */
export interface WantedRepair {
  /** Id that the job has, or will have. */
  readonly jobId: string;
  readonly parameters: JsonObject;
  /** Who asks. */
  readonly by: string;
  readonly tenant: string;
  /** Unix milliseconds. */
  readonly atMs: number;
}

/** What takes the place of the candidate. */
export interface Repaired {
  readonly version: string;
  readonly comparison: releaseV1.CompareResponse;
  /** Its gate with what the rules say of this version; undefined without a gate. What was approved of the one before counts no longer. */
  readonly gate: releaseV1.ReleaseGate | undefined;
  /** Why it goes no further by itself; empty when it does. */
  readonly stopped: string;
}

/** @throws RELEASE_CONFLICT for a release that has ended, gives callers its candidate or was repaired already */
export function requireUnserved({ id, expert, toVersion, state, details }: ReleaseRecord): void {
  if (details.state === ReleaseState.DRAFT || details.state === ReleaseState.COMPARED) return;
  const cure =
    details.state === ReleaseState.REPAIRED
      ? `it was repaired already, by job ${details.repair?.jobId ?? ''}. Roll it back and start a release of what is to be repaired`
      : isLive(details.state)
        ? `its candidate gets traffic already. Roll it back, start ${expert}@${toVersion} again with prediction files, which stops it where it is incompatible, and repair it then`
        : `it has ended. Start another one, and repair that`;
  throw new ThalamusError('RELEASE_CONFLICT', `The release ${id} is ${state}: ${cure}.`, {
    metadata: { release: id, state },
  });
}

/** The release while a job repairs its candidate: it waits for that, and no host loads what is to be replaced. */
export function withRepair(release: ReleaseRecord, wanted: WantedRepair): ReleaseRecord {
  const { details, toVersion } = release;
  const { jobId, parameters, by, tenant, atMs } = wanted;
  const repair = create(releaseV1.RepairSchema, {
    ...{ jobId, parameters, by, tenant, replacedVersion: toVersion, stoppedBefore: details.stopped },
    askedAt: timestampFromMs(atMs),
  });
  return { ...release, details: { ...details, stopped: '', repair } };
}

/** The release where it was before, with what the repair came to as why it stands. */
export function withoutRepair(release: ReleaseRecord, outcome: string): ReleaseRecord {
  const { details } = release;
  const { repair } = details;
  if (!repair) return release;
  const before = repair.stoppedBefore === '' ? '' : ` ${repair.stoppedBefore}`;
  const stopped = `${outcome}${before}`.slice(0, MAX_STOPPED);
  return { ...release, details: { ...details, stopped, repair: { ...repair, ended: true } } };
}

/** The release one transition on, with the repaired version as its candidate. @throws RELEASE_CONFLICT */
export function repaired(
  release: ReleaseRecord,
  why: StepReason,
  { version, comparison, gate, stopped }: Repaired,
): ReleaseRecord {
  const { details } = release;
  const repair = details.repair && { ...details.repair, ended: true };
  const exchanged = {
    ...release,
    toVersion: version,
    details: {
      ...details,
      toVersion: version,
      comparison,
      ...(gate ? { gate } : {}),
      ...(repair ? { repair } : {}),
    },
  };
  return moved(exchanged, ReleaseState.REPAIRED, why, { stopped });
}

/** The same release, still waiting for the same job; undefined when it went another way meanwhile. */
export function ifWaiting(now: ReleaseRecord, jobId: string): ReleaseRecord | undefined {
  return isRepairing(now.details) && now.details.repair?.jobId === jobId ? now : undefined;
}

/** @throws RELEASE_CONFLICT naming the job that repairs the release in another way */
export function repairsAlready({ id, details }: ReleaseRecord): ThalamusError {
  const jobId = details.repair?.jobId ?? '';
  return new ThalamusError(
    'RELEASE_CONFLICT',
    `The release ${id} is being repaired in another way, by job ${jobId}; wait for it, or cancel it with "thalamus jobs cancel ${jobId}".`,
    { metadata: { release: id, job: jobId, state: stateName(details.state) } },
  );
}
