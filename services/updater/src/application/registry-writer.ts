import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { EVENT_HEADERS, METRICS, registryV1, TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import {
  encodeEvent,
  encodeTombstone,
  type BusRecord,
  type Campaign,
  type EventBus,
  type FencedWriter,
} from '@thalamus/events';
import { REGISTRY_HEAD_KEY, type RegistryView } from '@thalamus/registry';
import { counter, createLogger } from '@thalamus/telemetry';
import { DecisionQueue } from './decision-queue.js';

/** Value of a resource to be written. */
export type ResourceValue = Exclude<MessageInitShape<typeof registryV1.ResourceSchema>['value'], undefined>;

/** One change of the registry. */
export interface Change {
  /** kind/name. */
  readonly key: string;
  /** New value; undefined removes the resource. */
  readonly value: ResourceValue | undefined;
  /** Revision expected of the resource: 0 means it must not exist, undefined means any. */
  readonly expectedRevision?: bigint | undefined;
  /** True for what repeats by itself and changes nothing for anybody, such as a lease that is renewed: no audit event. */
  readonly isRoutine?: boolean;
}

/** Who changes something, and what it is for the audit. */
export interface Actor {
  readonly id: string;
  readonly tenant: string;
  readonly action: string;
  readonly reason?: string;
  /** Fires when whoever asked has gone: a change that has not begun by then is left undone. */
  readonly signal?: AbortSignal;
}

const ROLE = 'registry-writer';
const SOURCE = '/updater';

/**
 * The elected writer of the registry. Changes are decided one after the other against a view that has read everything;
 * a follower refuses with NOT_LEADER and the leader's address.
 */
export class RegistryWriter {
  readonly name = 'registry writer';
  private campaign: Campaign | undefined;
  private writer: FencedWriter | undefined;
  private readonly queue = new DecisionQueue('changes', 'EXPERT_OVERLOADED');
  private readonly electedListeners: (() => Promise<void>)[] = [];
  private readonly logger = createLogger('registry-writer');

  constructor(
    private readonly bus: EventBus,
    private readonly view: RegistryView,
    private readonly address: () => string,
  ) {}

  async start(): Promise<void> {
    counter(METRICS.registryWrites).add(0);
    this.campaign = await this.bus.campaign({
      role: ROLE,
      candidate: this.address(),
      onElected: async (writer, term) => {
        await this.view.refresh();
        this.writer = writer;
        this.logger.info({ term: String(term) }, 'elected writer of the registry');
        for (const listener of this.electedListeners) await listener();
      },
      onRevoked: (reason) => {
        this.writer = undefined;
        this.logger.warn({ reason }, 'no longer writer of the registry');
      },
    });
  }

  async drain(): Promise<void> {
    await this.queue.ended();
    await this.campaign?.resign();
  }

  /** Ready as leader, or as follower of a known leader. */
  readiness(): { ready: boolean; reason?: string } {
    return this.campaign?.leader() === undefined
      ? { ready: false, reason: 'no writer of the registry is elected yet' }
      : { ready: true };
  }

  /** Runs each time this process has been elected. */
  onElected(listener: () => Promise<void>): void {
    this.electedListeners.push(listener);
  }

  get isLeader(): boolean {
    return this.writer !== undefined;
  }

  /** Address of the elected writer; empty when there is none. */
  get leaderAddress(): string {
    return this.campaign?.leader() ?? '';
  }

  /**
   * Decides and writes changes at once: all or none. `decide` sees the present state and returns the changes, or none.
   * Resolves with the resources as written.
   * @throws NOT_LEADER, REVISION_CONFLICT, EXPERT_OVERLOADED, the reason of the actor's signal, and what `decide` throws.
   */
  write(actor: Actor, decide: () => readonly Change[]): Promise<registryV1.Resource[]> {
    return this.queue.decide(() => {
      actor.signal?.throwIfAborted();
      // A follower's view may lag: it says who leads before it decides anything.
      this.requireLeader();
      return this.writeNow(actor, decide());
    });
  }

  /** Appends records of other topics that only the leader may write. */
  append(records: readonly BusRecord[]): Promise<void> {
    return this.queue.decide(async () => {
      await this.leader().append(records);
    });
  }

  /**
   * @throws NOT_LEADER with the leader's address when this process does not write; REGISTRY_NOT_READY when it cannot
   * read what it would change.
   */
  requireLeader(): void {
    this.leader();
  }

  private leader(): FencedWriter {
    if (this.writer) {
      this.view.requireReadable();
      return this.writer;
    }
    const leader = this.leaderAddress;
    const text =
      leader === ''
        ? 'No writer is elected yet; try again in a moment.'
        : `This replica does not write; send the call to ${leader}.`;
    throw new ThalamusError('NOT_LEADER', text, { metadata: { leader }, retryAfterMs: 500 });
  }

  private async writeNow(actor: Actor, changes: readonly Change[]): Promise<registryV1.Resource[]> {
    const writer = this.leader();
    for (const change of changes) this.checkRevision(change);
    if (changes.length === 0) return [];
    let revision = this.view.revision;
    const resources: registryV1.Resource[] = [];
    const records: BusRecord[] = [];
    for (const { key, value, isRoutine } of changes) {
      revision += 1n;
      const headers = { [EVENT_HEADERS.revision]: String(revision) };
      if (value === undefined)
        records.push(encodeTombstone(TOPICS.registryState, { source: SOURCE, key, headers }));
      else {
        const resource = create(registryV1.ResourceSchema, {
          key,
          revision,
          updatedAt: timestampFromMs(Date.now()),
          updatedBy: actor.id,
          value,
        });
        resources.push(resource);
        records.push(encodeEvent(TOPICS.registryState, resource, { source: SOURCE, key, headers }));
      }
      if (isRoutine !== true) records.push(this.audit(actor, key, revision));
    }
    if (changes.some(({ value }) => value === undefined)) records.push(this.head(revision));
    await writer.append(records);
    counter(METRICS.registryWrites).add(changes.length);
    // The next decision must see this one.
    await this.view.refresh();
    return resources;
  }

  /** Keeps the highest revision when the change itself leaves nothing behind. */
  private head(revision: bigint): BusRecord {
    const key = REGISTRY_HEAD_KEY;
    const headers = { [EVENT_HEADERS.revision]: String(revision) };
    return encodeEvent(TOPICS.registryState, { key, revision }, { source: SOURCE, key, headers });
  }

  private checkRevision({ key, expectedRevision }: Change): void {
    if (expectedRevision === undefined) return;
    const current = this.view.get(key)?.revision ?? 0n;
    if (current === expectedRevision) return;
    throw new ThalamusError(
      'REVISION_CONFLICT',
      `${key} is at revision ${current}, but ${expectedRevision} was expected; read it again and repeat the change.`,
      {
        metadata: { key, current: String(current), expected: String(expectedRevision) },
      },
    );
  }

  private audit(actor: Actor, subject: string, revision: bigint): BusRecord {
    const tenant = actor.tenant || 'default';
    const at = timestampFromMs(Date.now());
    const message = {
      tenant,
      actor: actor.id,
      action: actor.action,
      subject,
      revision,
      reason: actor.reason ?? '',
      at,
    };
    return encodeEvent(TOPICS.auditRecorded, message, { source: SOURCE, key: tenant });
  }
}
