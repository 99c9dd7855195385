import type { ThalamusError } from '@thalamus/errors';

/** A record to be published. */
export interface BusRecord {
  readonly topic: string;
  /** Records of one key stay in order. */
  readonly key: string;
  /** Payload; null is a tombstone that removes the key from a compacted topic. */
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** Where a record lies. */
export interface RecordPosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** A record as a reader gets it. */
export interface ReceivedRecord extends BusRecord {
  readonly partition: number;
  readonly offset: bigint;
  /** Unix time in milliseconds at which it was published. */
  readonly timestampMs: number;
  /** 1 for the first delivery, then one more for each retry. */
  readonly attempt: number;
}

/** How the handling of a record ended. */
export type Outcome =
  | { readonly kind: 'ack' }
  /** Try again; after `maxAttempts` it becomes a dead letter. */
  | { readonly kind: 'retry'; readonly afterMs?: number }
  /** What handling needs is away, and no fault of the record's: try again for as long as it takes. It is never a dead letter for that. */
  | { readonly kind: 'wait'; readonly error: ThalamusError; readonly afterMs?: number }
  | { readonly kind: 'deadLetter'; readonly error: ThalamusError };

/** How a topic is made. */
export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  readonly compacted: boolean;
  /** How long records are kept, in milliseconds. */
  readonly retentionMs?: number;
}

/** What a consumer wants. */
export interface SubscribeOptions {
  /** Members of a group share the partitions. */
  readonly group: string;
  readonly topics: readonly string[];
  /** Handles one record. A throw counts as a retry. Must be idempotent: a record can come twice. */
  readonly handle: (record: ReceivedRecord, context: { readonly signal: AbortSignal }) => Promise<Outcome>;
  /** Where a new group begins. Default earliest. */
  readonly from?: 'earliest' | 'latest';
  /** Deliveries before a record becomes a dead letter, those that ended in `wait` apart. Default 5. */
  readonly maxAttempts?: number;
  /** Records handled at once, over all partitions; within one partition order is kept. Default 16. */
  readonly maxInFlight?: number;
  /** Waits between retries. Default 100 ms, doubling to 10 s. */
  readonly backoffMs?: { readonly initial: number; readonly max: number };
}

/** A running consumer. */
export interface Subscription {
  /** Takes no new records, lets handlers finish for at most `deadlineMs`, commits, leaves the group. */
  stop(deadlineMs?: number): Promise<void>;
  /** Takes no new records until `resume`. */
  pause(): void;
  resume(): void;
  /** Records not yet handled, over the partitions held. */
  lag(): Promise<bigint>;
}

/** What a follower wants. */
export interface FollowOptions {
  readonly topic: string;
  /** Begins with the first record of each partition that was published at this moment or later, Unix milliseconds, instead of offset zero. */
  readonly sinceMs?: number;
  /**
   * Called for every record from offset zero, in order; compacted topics may skip replaced ones. A throw means that the record
   * cannot be read: the follower halts there for good, and says so through `onError` and `catchUp`.
   */
  readonly onRecord: (record: ReceivedRecord) => void;
  readonly onCaughtUp?: () => void;
  /** Told of a record that cannot be read (EVENT_INVALID with its offset) and of a bus that cannot be reached just now. */
  readonly onError?: (error: ThalamusError) => void;
}

/** A reader without a group that sees everything. */
export interface Follower {
  /** Resolves once everything that stood at the start has been seen. Rejects as `catchUp` does. */
  readonly caughtUp: Promise<void>;
  /** Resolves once everything that stands now has been seen. @throws EVENT_INVALID with the offset of a record that cannot be read. */
  catchUp(): Promise<void>;
  stop(): Promise<void>;
}

/** Appends while its holder is the elected one. */
export interface FencedWriter {
  /** All of the records or none. @throws LEADERSHIP_LOST once another has been elected; nothing of the call is then visible to readers. */
  append(records: readonly BusRecord[]): Promise<readonly RecordPosition[]>;
}

/** What a candidate wants. */
export interface CampaignOptions {
  /** What is to be led; one leader a role. Also the topic's writer when `topic` is written by the leader only. */
  readonly role: string;
  /** Name of this candidate that others may show, such as the address of its server. */
  readonly candidate: string;
  /** Called when elected; `term` rises with each election. */
  readonly onElected: (writer: FencedWriter, term: bigint) => Promise<void>;
  /** Called when the leadership has ended. */
  readonly onRevoked: (reason: string) => void;
}

/** A running candidacy. */
export interface Campaign {
  /** Candidate name of the present leader, when known. */
  leader(): string | undefined;
  /** Steps down, lets another be elected, stops. */
  resign(): Promise<void>;
}

/** State of the connection. */
export interface BusHealth {
  readonly ok: boolean;
  readonly reason?: string;
}

/** The event bus: an append-only log with keys, groups, compaction and elections. Two adapters pass one contract suite. */
export interface EventBus {
  /** Connects. @throws KAFKA_UNREACHABLE, EVENT_LOG_CORRUPT, EVENT_LOG_FULL, EVENT_LOG_BUSY, CONFIG_INVALID */
  start(): Promise<void>;
  /** Makes topics that do not exist; leaves the others alone. */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void>;
  /**
   * Appends durably; returns where each record lies, in the order of the records. Records of one key stay in the order of a
   * call, and of calls of which one awaits the other. After KAFKA_UNREACHABLE the records may or may not have been written:
   * publish them again with the same ids.
   * @throws EVENT_TOO_LARGE, EVENT_INVALID (no such topic), EVENT_LOG_FULL, EVENT_LOG_BUSY, KAFKA_UNREACHABLE
   */
  publish(records: readonly BusRecord[]): Promise<readonly RecordPosition[]>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  follow(options: FollowOptions): Promise<Follower>;
  campaign(options: CampaignOptions): Promise<Campaign>;
  health(): BusHealth;
  /** Stops every consumer, follower and campaign, then disconnects. */
  close(deadlineMs?: number): Promise<void>;
}
