import { LEADER_TOPIC } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import type { Admin, Consumer, Kafka } from 'kafkajs';
import type { Campaign, CampaignOptions, EventBus, Follower } from '../event-bus.port.js';
import { LastingConsumer } from './lasting-consumer.js';
import { TransactionalWriter } from './transactional-writer.js';

const RETRY_MS = 500;

/**
 * A candidate on Kafka: the holder of the one partition of a group named for the role leads. It writes through a
 * transactional producer whose id is the role, so that the broker fences a leader that came back from the dead.
 */
export class KafkaCampaign implements Campaign {
  private readonly lasting: LastingConsumer;
  private readonly logger = createLogger('campaign');
  private follower: Follower | undefined;
  private writer: TransactionalWriter | undefined;
  private known: string | undefined;
  /** True while this member holds the partition of the role. */
  private holds = false;
  private resigned = false;
  private changing: Promise<void> = Promise.resolve();
  private retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly kafka: Kafka,
    private readonly admin: Admin,
    private readonly bus: Pick<EventBus, 'ensureTopics' | 'follow'>,
    private readonly options: CampaignOptions,
    private readonly translate: (fault: unknown) => unknown,
  ) {
    this.lasting = new LastingConsumer(kafka, {
      config: {
        groupId: `thalamus-leader-${options.role}`,
        sessionTimeout: 6_000,
        rebalanceTimeout: 6_000,
        heartbeatInterval: 500,
        maxWaitTimeInMs: 500,
        allowAutoTopicCreation: false,
        retry: { retries: 50, initialRetryTime: 200, maxRetryTime: 2_000 },
      },
      topics: [LEADER_TOPIC.name],
      fromBeginning: false,
      run: { autoCommit: false, eachMessage: () => Promise.resolve() },
      onMade: (consumer) => {
        this.watch(consumer);
      },
      onCrash: (fault) => {
        this.change(false, `the connection to Kafka broke: ${toThalamusError(translate(fault)).message}`);
      },
    });
  }

  async start(): Promise<void> {
    await this.bus.ensureTopics([{ name: LEADER_TOPIC.name, partitions: 1, compacted: true }]);
    this.follower = await this.bus.follow({
      topic: LEADER_TOPIC.name,
      onRecord: (record) => {
        if (record.key === this.options.role)
          this.known = record.value === null ? undefined : new TextDecoder().decode(record.value);
      },
    });
    await this.lasting.start();
  }

  leader(): string | undefined {
    return this.known;
  }

  async resign(): Promise<void> {
    this.resigned = true;
    this.change(false, 'resigned');
    await this.changing;
    await this.lasting.stop();
    await this.follower?.stop();
  }

  private watch(consumer: Consumer): void {
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      const holds = (payload.memberAssignment[LEADER_TOPIC.name] ?? []).includes(0);
      // Each generation of the group begins anew: another may have led since this member was last heard.
      this.change(false, 'the candidates were shared anew');
      if (holds) this.change(true, '');
    });
    consumer.on(consumer.events.REBALANCING, () => {
      this.change(false, 'the candidates are being shared anew');
    });
  }

  private change(holds: boolean, reason: string): void {
    this.holds = holds && !this.resigned;
    clearTimeout(this.retry);
    // Writes end at once, whatever the rest of the change waits for.
    if (!this.holds) this.writer?.end();
    const rises = this.holds;
    this.changing = this.changing.then(() => (rises ? this.rise() : this.fall(reason)));
  }

  private async rise(): Promise<void> {
    if (this.writer || !this.isHolder()) return;
    const { role, candidate } = this.options;
    const writer = new TransactionalWriter(this.kafka, this.admin, role, {
      leader: () => this.known ?? '',
      translate: this.translate,
      onFenced: () => {
        this.change(false, 'another was elected');
      },
      onUncertain: () => {
        this.change(false, 'a write ended in doubt');
        this.change(true, '');
      },
    });
    try {
      await writer.open();
      // The first transaction fences whoever led before; its offset is the term.
      const value = new TextEncoder().encode(candidate);
      const [at] = await writer.append([{ topic: LEADER_TOPIC.name, key: role, value, headers: {} }]);
      if (!this.isHolder()) {
        await writer.close();
        return;
      }
      this.writer = writer;
      this.known = candidate;
      this.options.onElected(writer, at?.offset ?? 0n).catch((fault: unknown) => {
        this.riseAgain(writer, fault);
      });
    } catch (fault) {
      await writer.close();
      this.riseAgain(undefined, fault);
    }
  }

  /** Holding the role without being able to lead it would leave everybody without a leader. */
  private riseAgain(writer: TransactionalWriter | undefined, fault: unknown): void {
    if (this.writer !== writer) return;
    const { code, message } = toThalamusError(this.translate(fault));
    this.logger.warn({ role: this.options.role, code, reason: message }, 'elected candidate cannot lead yet');
    const held = this.holds;
    this.change(false, message);
    if (!held) return;
    this.retry = setTimeout(() => {
      if (!this.resigned) this.change(true, '');
    }, RETRY_MS);
  }

  private isHolder(): boolean {
    return this.holds;
  }

  private async fall(reason: string): Promise<void> {
    const { writer } = this;
    if (!writer) return;
    this.writer = undefined;
    this.options.onRevoked(reason);
    await writer.close();
  }
}
