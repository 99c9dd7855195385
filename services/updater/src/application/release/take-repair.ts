import { create } from '@bufbuild/protobuf';
import {
  encodeManifest,
  MAX_MANIFEST_BYTES,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  type ArtifactStore,
} from '@thalamus/bundle';
import { JOB_ARTIFACTS, registryV1, type jobV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { stopOf } from '../../domain/release/gate-standings.js';
import { GATE, type ReleaseRecord } from '../../domain/release/release-states.js';
import { ifWaiting, repaired, type Repaired } from '../../domain/release/repairs.js';
import type { RegisterVersion } from '../register-version.js';
import type { KeptComparison } from './compare-predictions.js';
import type { Releases } from './releases.js';
import { beginGate, judgedByGate } from './start-gate.js';
import type { StartChecks } from './start-release.js';
import { UPDATER } from './step-holds.js';

/** Versions that are tried when others take the number first. */
const MAX_RENUMBERINGS = 20;

/** What a repair job says of what it made. */
interface RepairResult {
  readonly verdict?: string;
  readonly reason?: string;
}

/**
 * Takes what a repair made: compared with the version before on the rows that judged it, registered, and put in the candidate's place, all
 * in one write. A release that went another way by then gets nothing, and nothing is registered.
 */
export class TakeRepair {
  constructor(
    private readonly releases: Releases,
    private readonly register: Pick<RegisterVersion, 'prepared'>,
    private readonly checks: StartChecks,
    private readonly artifacts: ArtifactStore,
    private readonly now: () => number = Date.now,
  ) {}

  /** @throws REQUEST_INVALID for a repair that made it worse; what registering and comparing throw */
  async run(release: ReleaseRecord, job: jobV1.Job): Promise<void> {
    const { details, expert } = release;
    const { verdict = '', reason = '' } = (job.result ?? {}) as RepairResult;
    const made = outputOf(job, JOB_ARTIFACTS.bundle);
    if (verdict === 'worse')
      throw new ThalamusError(
        'REQUEST_INVALID',
        `it made the version worse: ${reason} Its bundle is ${made}. Give other rows or another method, or go on without by "thalamus release advance".`,
      );
    const predictions = [JOB_ARTIFACTS.oldPredictions, JOB_ARTIFACTS.predictions].map((name) =>
      outputOf(job, name),
    );
    const [before = '', after = ''] = predictions;
    const budget = details.plan?.negativeFlipBudget ?? 0;
    const compared = await this.checks.compare.kept(before, after, budget);
    const judged = await this.judged(release, made, compared);
    let digest = made;
    for (let renumbering = 0; ; renumbering++) {
      const version = create(registryV1.ExpertVersionSchema, { manifestDigest: digest, expert });
      const request = create(registryV1.RegisterVersionRequestSchema, { version });
      const registration = await this.register.prepared(request);
      const { version: number } = registration.version;
      const why = {
        by: GATE,
        reason: `${said(release, job, number)} ${reason} Compared: ${judged.comparison.reason}`,
        evidence: [digest, ...compared.evidence],
        atMs: this.now(),
      };
      const actor = { ...UPDATER, action: 'release.Repair', reason: why.reason };
      try {
        await this.releases.move(
          release.id,
          actor,
          (now) => {
            const waiting = ifWaiting(now, job.id);
            return waiting && repaired(waiting, why, { ...judged, version: number });
          },
          registration.changes,
        );
        return;
      } catch (fault) {
        const isTaken = ThalamusError.is(fault) && fault.code === 'REVISION_CONFLICT';
        if (!isTaken || renumbering >= MAX_RENUMBERINGS) throw fault;
        digest = await this.renumbered(digest);
      }
    }
  }

  /** Judges the repaired version as a candidate that a release begins with: what was overridden or approved of the one before does not count. */
  private async judged(
    release: ReleaseRecord,
    bundle: string,
    { whole, comparison }: KeptComparison,
  ): Promise<Omit<Repaired, 'version'>> {
    const { contract, gates } = this.checks;
    await gates.read(release);
    const document = gates.of(release);
    if (!document) return { comparison, gate: undefined, stopped: stopOf({ comparison }, false) };
    const differences = await contract.ofBundle(release.expert, release.fromVersion, bundle);
    const given = { document, digest: release.details.gate?.digest ?? '' };
    const { gate, stopped } = beginGate(given, { differences, override: '', compared: whole });
    const own = judgedByGate(comparison, gate);
    return { comparison: own, gate, stopped: stopped(own) };
  }

  /** The same bundle under the next free number. */
  private async renumbered(digest: string): Promise<string> {
    const parsed = parseDigest(digest);
    const manifest = parseExpertManifest(
      await readArtifact(this.artifacts, parsed, MAX_MANIFEST_BYTES),
      parsed,
    );
    const numbers = this.releases.view
      .list(`version/${manifest.name}@`)
      .flatMap(({ value }) => (value.case === 'version' ? [BigInt(value.value.version)] : []));
    const version = String(numbers.reduce((most, each) => (each > most ? each : most), 0n) + 1n);
    return (await this.artifacts.put(encodeManifest({ ...manifest, version }))).digest;
  }
}

/** What was done by whom, for the history. */
function said(
  { expert, toVersion, fromVersion, details }: ReleaseRecord,
  { id, parameters }: jobV1.Job,
  version: string,
): string {
  const { method, dataset, seed } = (parameters ?? {}) as Readonly<Record<string, string | number>>;
  return `${expert}@${version} is ${toVersion} repaired against ${fromVersion} by job ${id} (${method ?? ''} on ${dataset ?? ''}, seed ${seed ?? 0}), asked for by ${details.repair?.by ?? ''}.`;
}

/** @throws ARTIFACT_NOT_FOUND */
function outputOf({ id, outputs }: jobV1.Job, name: string): string {
  const found = outputs.find((output) => output.name === name);
  if (found) return found.digest;
  throw new ThalamusError('ARTIFACT_NOT_FOUND', `Job ${id} has no output "${name}"; repair it again.`);
}
