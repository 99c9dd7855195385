import { create, type JsonObject } from '@bufbuild/protobuf';
import { JOB_KINDS, jobV1, type releaseV1 } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { isRepairing, type ReleaseRecord } from '../../domain/release/release-states.js';
import {
  ifWaiting,
  repairsAlready,
  requireUnserved,
  withoutRepair,
  withRepair,
} from '../../domain/release/repairs.js';
import { isFinal } from '../../domain/job-lifecycle.js';
import { invalid, json } from '../job-plan.js';
import type { JobTable } from '../job-table.js';
import type { Actor } from '../registry-writer.js';
import type { SubmitJob } from '../submit-job.js';
import type { Releases } from './releases.js';
import { UPDATER } from './step-holds.js';
import type { TakeRepair } from './take-repair.js';

const { JobState } = jobV1;
/** Parameters of the job that the release and the request name. */
const OWN = ['from', 'to', 'dataset'] as const;

/**
 * Repairs of candidates that nobody is served yet. The release says which job it waits for before that is stored, so that whoever is elected
 * next stores it, follows it and takes what it gave: each step is taken once, however often it is begun.
 */
export class RepairRelease {
  private readonly logger = createLogger('repairs');

  constructor(
    private readonly releases: Releases,
    private readonly jobs: Pick<JobTable, 'find' | 'cancel'>,
    private readonly submit: Pick<SubmitJob, 'plan' | 'run'>,
    private readonly take: Pick<TakeRepair, 'run'>,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * Has a release wait for a job that repairs its candidate; the same request meanwhile finds the same job.
   * @throws RESOURCE_NOT_FOUND, RELEASE_CONFLICT, REQUEST_INVALID by field, EXPERT_NOT_FOUND, NOT_LEADER
   */
  async ask(
    { releaseId, dataset, parameters = {} }: releaseV1.RepairRequest,
    actor: Actor,
  ): Promise<ReleaseRecord> {
    this.releases.requireLeader();
    const known = this.releases.find(releaseId);
    if (!isRepairing(known.details)) requireUnserved(known);
    const own = OWN.find((name) => Object.hasOwn(parameters, name));
    if (own !== undefined)
      throw invalid(`parameters.${own}`, 'is what the release and its request name; leave it out');
    const wanted = this.planned(known, dataset, parameters);
    const reason = `Repaired with ${dataset}.`;
    const release = await this.releases.move(releaseId, { ...actor, reason }, (now) => {
      if (isRepairing(now.details)) {
        if (isDeepStrictEqual(wanted, json(now.details.repair?.parameters ?? {}))) return undefined;
        throw repairsAlready(now);
      }
      requireUnserved(now);
      if (now.toVersion !== known.toVersion) throw repairsAlready(now);
      const { id: by, tenant } = actor;
      return withRepair(now, {
        ...{ jobId: randomUUID(), parameters: wanted, by, tenant, atMs: this.now() },
      });
    });
    // Whoever asks may look at the job at once; where it cannot be stored now, the leader tries again.
    await this.settle(release);
    return this.releases.find(releaseId);
  }

  /** Takes a release that waits for its job on as far as that is; says what it waits for, nothing when it waits no longer. */
  async settle(release: ReleaseRecord): Promise<string> {
    const { repair } = release.details;
    if (!repair || !isRepairing(release.details)) return '';
    const { jobId } = repair;
    try {
      const job = this.jobs.find(jobId) ?? (await this.submitted(repair));
      if (!isFinal(job)) return waitingFor(job);
      if (job.state === JobState.SUCCEEDED) await this.take.run(release, job);
      else await this.leave(release, outcomeOf(job));
    } catch (fault) {
      const { code, message, spec } = toThalamusError(fault);
      if (spec.retryable || code === 'NOT_LEADER') return `Job ${jobId}: ${message}`;
      this.logger.error({ release: release.id, job: jobId, code, reason: message }, 'a repair was not taken');
      await this.leave(release, `The repair by job ${jobId} was not taken: ${message}`);
    }
    return '';
  }

  /** Cancels the jobs of releases that went another way meanwhile: by hand, or back. */
  async cancelLeft(): Promise<void> {
    for (const { id, details } of this.releases.list()) {
      if (details.repair?.ended !== false || isRepairing(details)) continue;
      const job = this.jobs.find(details.repair.jobId);
      if (!job || isFinal(job) || job.cancelRequested) continue;
      await this.jobs.cancel(job.id);
      this.logger.info({ release: id, job: job.id }, 'a repair that nobody waits for is cancelled');
    }
  }

  private planned(
    { expert, fromVersion, toVersion }: ReleaseRecord,
    dataset: string,
    more: JsonObject,
  ): JsonObject {
    const named = { from: `${expert}@${fromVersion}`, to: `${expert}@${toVersion}`, dataset };
    return this.submit.plan(JOB_KINDS.repair, { ...more, ...named }).parameters;
  }

  /** Its id is that which the release names: stored once, however often this is called. */
  private submitted({ jobId, parameters = {}, tenant }: releaseV1.Repair): Promise<jobV1.Job> {
    const request = create(jobV1.SubmitRequestSchema, { kind: JOB_KINDS.repair, parameters, tenant });
    return this.submit.run(request, jobId);
  }

  private async leave({ id, details }: ReleaseRecord, outcome: string): Promise<void> {
    const jobId = details.repair?.jobId ?? '';
    await this.releases.move(id, { ...UPDATER, action: 'release.Repair', reason: outcome }, (now) => {
      const waiting = ifWaiting(now, jobId);
      return waiting && withoutRepair(waiting, outcome);
    });
  }
}

/** The sentence for a job that has not ended. */
function waitingFor({ id, state, progress, errorCode }: jobV1.Job): string {
  if (state === JobState.QUEUED)
    return errorCode === ''
      ? `Job ${id}, which repairs it, waits for a worker.`
      : `Job ${id}, which repairs it, waits to be tried again after ${errorCode}.`;
  const { stage = 'begun', done = 0n, total = 0n } = progress ?? {};
  return `Job ${id} repairs it: ${stage}${total > 0n ? `, ${done} of ${total}` : ''}.`;
}

/** The sentence for a job that gave nothing. */
function outcomeOf({ id, state, errorCode, errorMessage }: jobV1.Job): string {
  const onward = 'Repair it again, or go on without by "thalamus release advance".';
  return state === JobState.CANCELLED
    ? `The repair was cancelled (job ${id}). ${onward}`
    : `The repair failed (job ${id}): ${errorCode}: ${errorMessage} ${onward}`;
}
