import { timestampMs } from '@bufbuild/protobuf/wkt';
import { jobV1, TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { BusRecord, EventBus, Follower } from '@thalamus/events';
import { createLogger } from '@thalamus/telemetry';
import type { JobEntry } from '../domain/job-lifecycle.js';
import { decodeJob } from './job-records.js';

/** All jobs as the compacted job topic has them, and who waits for changes of them. */
export class JobView {
  private readonly entries = new Map<string, JobEntry>();
  private readonly watchers = new Set<() => void>();
  private readonly logger = createLogger('job-view');
  private follower: Follower | undefined;
  private failure: string | undefined;
  private revision = 0;

  constructor(private readonly bus: EventBus) {}

  async start(): Promise<void> {
    this.follower = await this.bus.follow({
      topic: TOPICS.jobChanged.name,
      onRecord: (record) => {
        this.take(record);
      },
      onError: (error) => {
        // A bus that is away comes back, and the follower goes on by itself.
        if (!error.spec.retryable) this.failure = error.message;
      },
    });
    await this.follower.caughtUp;
  }

  private take(record: BusRecord & { readonly offset: bigint }): void {
    try {
      const entry = decodeJob(record);
      if (entry) this.entries.set(record.key, entry);
      else this.entries.delete(record.key);
    } catch (error) {
      this.failure = `record ${record.offset} of ${record.topic} cannot be read; upgrade this service or mend the topic`;
      this.logger.error({ offset: String(record.offset), error }, 'job record cannot be read');
    }
    this.wake();
  }

  readiness(): { ready: boolean; reason?: string } {
    return this.failure === undefined ? { ready: true } : { ready: false, reason: this.failure };
  }

  async close(): Promise<void> {
    await this.follower?.stop();
    this.wake();
  }

  /** Resolves once everything that was written before the call has been read. */
  async catchUp(): Promise<void> {
    await this.follower?.catchUp();
  }

  /** @throws JOB_NOT_FOUND */
  entry(id: string): JobEntry {
    const entry = this.entries.get(id);
    if (!entry)
      throw new ThalamusError('JOB_NOT_FOUND', `No job ${id} exists; "thalamus jobs list" shows them.`);
    return entry;
  }

  /** The entry of an id, or none. */
  find(id: string): JobEntry | undefined {
    return this.entries.get(id);
  }

  /** In no order. */
  all(): JobEntry[] {
    return [...this.entries.values()];
  }

  /** Newest first. */
  list(kind: string, state: jobV1.JobState): jobV1.Job[] {
    return this.all()
      .map(({ job }) => job)
      .filter(
        (job) =>
          (kind === '' || job.kind === kind) && (state === jobV1.JobState.UNSPECIFIED || job.state === state),
      )
      .sort((a, b) => createdMs(b) - createdMs(a) || (a.id < b.id ? -1 : 1));
  }

  /** Counts changes; hand it to `changed` so that none is missed in between. */
  get changes(): number {
    return this.revision;
  }

  /** Resolves once something has changed since `since`, or when the signal fires. */
  async changed(since: number, signal: AbortSignal): Promise<void> {
    if (this.revision !== since || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.watchers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.watchers.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Has everybody who waits look again. */
  wake(): void {
    this.revision += 1;
    for (const resolve of [...this.watchers]) resolve();
  }
}

function createdMs(job: jobV1.Job): number {
  return job.createdAt ? timestampMs(job.createdAt) : 0;
}
