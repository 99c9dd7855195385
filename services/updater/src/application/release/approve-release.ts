import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import {
  approvers,
  openRules,
  sentenceOf,
  stageOf,
  stageOfRule,
  stopOf,
  type RuleStage,
} from '../../domain/release/gate-standings.js';
import type { ReleaseRecord } from '../../domain/release/release-states.js';
import type { Actor } from '../registry-writer.js';
import type { JudgeGate } from './judge-gate.js';
import { hasEnded, type Releases } from './releases.js';
import { needReason } from './steer-release.js';

/** Lets rules of a gate that are inconclusive pass, when enough different people say so. */
export class ApproveRelease {
  constructor(
    private readonly releases: Releases,
    private readonly judge: JudgeGate,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * Counts a person once for the state that the release is in; who approves again changes nothing.
   * @throws REQUEST_INVALID, RESOURCE_NOT_FOUND, NOT_LEADER; RELEASE_CONFLICT for what failed, and where nothing is to be approved
   */
  async run(id: string, reason: string, actor: Actor): Promise<ReleaseRecord> {
    needReason(reason, 'an approval is recorded with the reason for it');
    this.releases.requireLeader();
    const obstacle = await this.judge.obstacle(this.releases.find(id));
    if (obstacle !== '') throw conflict(id, obstacle);
    return this.releases.move(id, { ...actor, reason }, (release) => {
      const stage = stageOf(release.details.state);
      if (!stage) throw hasEnded(release);
      this.needApprovable(release, stage);
      return approvers(release.details.gate, stage).includes(actor.id)
        ? undefined
        : this.approved(release, reason, actor.id);
    });
  }

  private needApprovable(release: ReleaseRecord, stage: RuleStage): void {
    const gate = this.judge.shown(release);
    if (!gate)
      throw conflict(release.id, 'It has no gate, so there is nothing to approve; "advance" moves it on.');
    const { failed } = openRules(gate.rules, stage);
    if (failed.length > 0 && !(stage === 'first' && gate.overridden))
      throw conflict(
        release.id,
        `What failed cannot be approved. ${sentenceOf(gate.name, 'failed', failed)}`,
      );
    const isAsked = gate.rules.some(
      (rule) => stageOfRule(rule) === stage && (rule.approvals > 0 || rule.measure === 'approvals'),
    );
    if (!isAsked)
      throw conflict(
        release.id,
        `No rule of the gate ${gate.name} asks for approvals while it is ${release.state}.`,
      );
  }

  private approved(release: ReleaseRecord, reason: string, by: string): ReleaseRecord {
    const { details } = release;
    const { state, gate } = details;
    if (!gate) return release;
    const approval = create(releaseV1.ApprovalSchema, {
      ...{ by, reason, state, at: timestampFromMs(this.now()) },
    });
    const counted = {
      ...release,
      details: { ...details, gate: { ...gate, approvals: [...gate.approvals, approval] } },
    };
    const next = this.judge.kept(counted);
    if (details.stopped === '') return next;
    const shown = this.judge.shown(counted);
    const stopped = stopOf({ ...next.details, ...(shown ? { gate: shown } : {}) }, gate.overridden);
    return { ...next, details: { ...next.details, stopped } };
  }
}

function conflict(id: string, why: string): ThalamusError {
  return new ThalamusError('RELEASE_CONFLICT', `The release ${id} cannot be approved: ${why}`, {
    metadata: { release: id },
  });
}
