import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { onward } from '../../domain/release/next-move.js';
import { isLive, moved, type ReleaseRecord, type StepReason } from '../../domain/release/release-states.js';
import type { Actor } from '../registry-writer.js';
import type { JudgeGate } from './judge-gate.js';
import { hasEnded, type Releases } from './releases.js';

const { ReleaseState } = releaseV1;

/** Where what live traffic has said of a release is kept as evidence. */
export interface EvidenceOf {
  /** Digests; none while the release has no traffic. */
  evidence(release: ReleaseRecord): Promise<readonly string[]>;
}

/** What people do with a release by hand: one step on, to the end, or back. */
export class SteerRelease {
  constructor(
    private readonly releases: Releases,
    private readonly gate: EvidenceOf,
    private readonly judge: Pick<JudgeGate, 'kept'>,
    private readonly now: () => number = Date.now,
  ) {}

  /** One state or step on, whatever it waits for. @throws REQUEST_INVALID, RESOURCE_NOT_FOUND, RELEASE_CONFLICT, NOT_LEADER */
  async advance(id: string, reason: string, actor: Actor): Promise<ReleaseRecord> {
    needReason(reason, 'a step by hand is recorded with the reason for it');
    const why = await this.why(id, reason, actor);
    return this.releases.move(id, { ...actor, reason }, (release) => {
      if (!isLive(release.details.state)) throw hasEnded(release);
      const move = onward(release.details, reason);
      return move.kind === 'go'
        ? moved(this.judge.kept(release), move.state, why, { step: move.step })
        : undefined;
    });
  }

  /** Makes the candidate stable now. @throws as `advance` */
  async promote(request: releaseV1.PromoteRequest, actor: Actor): Promise<ReleaseRecord> {
    const { releaseId, expert, version, reason } = request;
    const known = this.releases.find(releaseId);
    if ((expert !== '' && expert !== known.expert) || (version !== '' && version !== known.toVersion))
      throw new ThalamusError(
        'REQUEST_INVALID',
        `The release ${releaseId} is of ${known.expert}@${known.toVersion}; leave expert and version out, or name these.`,
      );
    if (known.details.stopped !== '')
      needReason(reason, `the release is stopped (${known.details.stopped}), and going on is recorded`);
    const said = reason.trim() === '' ? 'Promoted by hand.' : reason;
    const why = await this.why(releaseId, said, actor);
    return this.releases.move(releaseId, { ...actor, reason: said }, (release) => {
      if (!isLive(release.details.state)) throw hasEnded(release);
      return moved(this.judge.kept(release), ReleaseState.STABLE, why);
    });
  }

  /**
   * Takes a candidate back: a live one, or one that became stable and still is.
   * @throws as `advance`
   */
  async rollBack(id: string, reason: string, actor: Actor): Promise<ReleaseRecord> {
    const said = reason.trim() === '' ? 'Rolled back by hand.' : reason;
    const why = await this.why(id, said, actor);
    return this.releases.move(id, { ...actor, reason: said }, (release) => {
      if (release.details.state === ReleaseState.STABLE) this.needWayBack(release);
      else if (!isLive(release.details.state)) throw hasEnded(release);
      return moved(this.judge.kept(release), ReleaseState.ROLLED_BACK, why);
    });
  }

  /** What a release that became stable goes back to has to be there, and nothing may have come after it. */
  private needWayBack({ id, expert, fromVersion, toVersion }: ReleaseRecord): void {
    const { view } = this.releases;
    const stable = view.expert(expert)?.stable;
    if (stable !== toVersion)
      throw new ThalamusError(
        'RELEASE_CONFLICT',
        `${expert}@${toVersion} of the release ${id} is no longer stable: ${stable ?? 'nothing'} is. Roll back what came after it first.`,
      );
    if (fromVersion === '' || !view.version(expert, fromVersion))
      throw new ThalamusError(
        'RELEASE_CONFLICT',
        `The release ${id} has no previous version to go back to; promote another version of ${expert} with a reason.`,
      );
    const other = this.releases.live().find((release) => release.expert === expert);
    if (other)
      throw new ThalamusError(
        'RELEASE_CONFLICT',
        `The release ${other.id} of ${expert} is ${other.state}; roll it back first, it rests on ${toVersion}.`,
      );
  }

  private async why(id: string, reason: string, actor: Actor): Promise<StepReason> {
    this.releases.requireLeader();
    const evidence = await this.gate.evidence(this.releases.find(id));
    return { by: actor.id, reason, evidence, atMs: this.now() };
  }
}

/** @throws REQUEST_INVALID for a reason that says nothing */
export function needReason(reason: string, because: string): void {
  if (reason.trim() !== '') return;
  throw new ThalamusError('REQUEST_INVALID', `reason is empty; ${because}.`, {
    violations: [{ field: 'reason', description: 'must not be empty' }],
  });
}
