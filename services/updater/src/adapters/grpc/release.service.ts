import { create } from '@bufbuild/protobuf';
import { registryV1, releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import type { RegistryView } from '@thalamus/registry';
import type { ApproveRelease } from '../../application/release/approve-release.js';
import type { ComparePredictions } from '../../application/release/compare-predictions.js';
import type { ListReadings } from '../../application/release/list-readings.js';
import type { ReleaseLeader } from '../../application/release/release-leader.js';
import type { Releases } from '../../application/release/releases.js';
import type { RepairRelease } from '../../application/release/repair-release.js';
import type { StartRelease } from '../../application/release/start-release.js';
import type { SteerRelease } from '../../application/release/steer-release.js';
import type { SetChannel } from '../../application/set-channel.js';
import { actorOf } from './actor.js';

const DEFAULT_BUDGET = 0.01;
const DEFAULT_ITEMS = 20;
const DEFAULT_PAGE = 100;

/** What the release service calls. */
export interface ReleaseUseCases {
  readonly view: RegistryView;
  readonly channels: SetChannel;
  readonly compare: ComparePredictions;
  readonly releases: Releases;
  readonly starts: StartRelease;
  readonly steer: SteerRelease;
  readonly approvals: ApproveRelease;
  readonly readings: ListReadings;
  readonly repairs: RepairRelease;
  readonly leader: Pick<ReleaseLeader, 'described' | 'wake'>;
}

/** thalamus.release.v1: decodes, calls one use case, encodes. */
export class ReleaseGrpcService implements ServiceImplementation<typeof releaseV1.ReleaseService> {
  constructor(private readonly uses: ReleaseUseCases) {}

  async compare(request: releaseV1.CompareRequest) {
    const budget = request.negativeFlipBudget === 0 ? DEFAULT_BUDGET : request.negativeFlipBudget;
    const { comparison, items } = await this.uses.compare.run(request.old, request.new, budget);
    return create(releaseV1.CompareResponseSchema, {
      ...comparison,
      items: items
        .slice(0, request.maxItems || DEFAULT_ITEMS)
        .map((item) => create(releaseV1.FlippedItemSchema, item)),
    });
  }

  async start(request: releaseV1.StartRequest, context: CallContext) {
    const release = await this.uses.starts.run(request, actorOf(context, 'release.Start'));
    this.uses.leader.wake();
    return { release: this.uses.leader.described(release) };
  }

  async getRelease({ id }: releaseV1.GetReleaseRequest) {
    return Promise.resolve({ release: this.uses.leader.described(this.uses.releases.find(id)) });
  }

  async listReadings({ releaseId }: releaseV1.ListReadingsRequest) {
    return { readings: [...(await this.uses.readings.run(releaseId))] };
  }

  async listReleases({ expert, pageSize, pageToken }: releaseV1.ListReleasesRequest) {
    const all = this.uses.releases.list(expert);
    const before = all.findIndex(({ id }) => id === pageToken);
    if (pageToken !== '' && before < 0)
      throw new ThalamusError(
        'REQUEST_INVALID',
        'page_token is of no release that is still kept; begin without one.',
        { violations: [{ field: 'page_token', description: 'the next_page_token of a former answer' }] },
      );
    const page = all.slice(before + 1, before + 1 + (pageSize || DEFAULT_PAGE));
    const last = page.at(-1)?.id ?? '';
    return Promise.resolve({
      releases: page.map((release) => this.uses.leader.described(release)),
      nextPageToken: last === all.at(-1)?.id ? '' : last,
    });
  }

  async advance({ releaseId, reason }: releaseV1.AdvanceRequest, context: CallContext) {
    const release = await this.uses.steer.advance(releaseId, reason, actorOf(context, 'release.Advance'));
    return { release: this.uses.leader.described(release) };
  }

  async approve({ releaseId, reason }: releaseV1.ApproveRequest, context: CallContext) {
    const release = await this.uses.approvals.run(releaseId, reason, actorOf(context, 'release.Approve'));
    this.uses.leader.wake();
    return { release: this.uses.leader.described(release) };
  }

  async promote(request: releaseV1.PromoteRequest, context: CallContext) {
    if (request.releaseId === '') return this.promoteDirectly(request, context);
    const { expert, fromVersion, toVersion } = await this.uses.steer.promote(
      request,
      actorOf(context, 'release.Promote'),
    );
    const revision = this.uses.view.get(`expert/${expert}`)?.revision ?? 0n;
    return { expert, version: toVersion, previousVersion: fromVersion, revision };
  }

  async rollBack({ releaseId, reason }: releaseV1.RollBackRequest, context: CallContext) {
    const release = await this.uses.steer.rollBack(releaseId, reason, actorOf(context, 'release.RollBack'));
    return { release: this.uses.leader.described(release) };
  }

  async repair(request: releaseV1.RepairRequest, context: CallContext) {
    const release = await this.uses.repairs.ask(request, actorOf(context, 'release.Repair'));
    this.uses.leader.wake();
    return { jobId: release.details.repair?.jobId ?? '', release: this.uses.leader.described(release) };
  }

  private async promoteDirectly(request: releaseV1.PromoteRequest, context: CallContext) {
    if (request.reason.trim() === '') {
      throw new ThalamusError(
        'REQUEST_INVALID',
        'reason is empty; a promotion without a release is recorded with the reason for it.',
        { violations: [{ field: 'reason', description: 'must not be empty' }] },
      );
    }
    const { expert, version, expectedRevision } = request;
    const previousVersion = this.uses.view.expert(expert)?.stable ?? '';
    const actor = { ...actorOf(context, 'release.Promote'), reason: request.reason };
    const resource = await this.uses.channels.run(
      {
        ...{ expert, version, channel: registryV1.Channel.STABLE },
        ...(expectedRevision === undefined ? {} : { expectedRevision }),
      },
      actor,
    );
    return { expert, version, previousVersion, revision: resource.revision };
  }
}
