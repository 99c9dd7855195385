import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { ArtifactStore } from '@thalamus/bundle';
import type { GateEvidence } from '@thalamus/compatibility';
import { ATTRIBUTES, METRICS, releaseV1, TOPICS } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { type EventBus, type Follower, type ReceivedRecord } from '@thalamus/events';
import { counter, createLogger } from '@thalamus/telemetry';
import { LiveEvidence } from '../../domain/release/live-evidence.js';
import type { ReleaseRecord } from '../../domain/release/release-states.js';
import { DeadLetters } from './dead-letters.js';
import type { ReleaseGates } from './release-gates.js';
import type { LiveGate } from './release-leader.js';
import { takeEvent } from './take-event.js';
import { late, within } from './within.js';

const READ = [
  TOPICS.shadowCompared,
  TOPICS.requestCompleted,
  TOPICS.feedbackGiven,
  TOPICS.probeAnswered,
] as const;
/** How long reading what stands now may take before a decision is put off, milliseconds. */
const CATCH_UP_MS = 5_000;
/** How long a decision waits for its evidence to be stored, milliseconds. */
const STORE_MS = 300;

/** Everything that is read at once. */
interface Reading {
  /** Events from before are not in it, Unix milliseconds. */
  readonly sinceMs: number;
  readonly followers: Follower[];
  readonly evidence: Map<string, LiveEvidence>;
  /** Releases whose gates were not known when their events were read. */
  readonly unjudged: Set<string>;
  isWhole: boolean;
}

/**
 * Evidence on live releases, read from the log since their candidates first got traffic: a leader that was just elected knows what the one
 * before it knew. Records that cannot be read become dead letters.
 */
export class ReadEvidence implements LiveGate {
  private current: Reading | undefined;
  private wanted: readonly ReleaseRecord[] = [];
  private opening: Promise<void> | undefined;
  /** By topic and partition, the first offset that was not read yet. */
  private readonly unread = new Map<string, bigint>();
  /** True once all that stood there was read: what comes later is for this updater to give up. */
  private hasRead = false;
  private readonly alarms = new Set<() => void>();
  private readonly alarmed = new Map<string, number>();
  private readonly letters: DeadLetters;
  private readonly logger = createLogger('release-evidence');

  constructor(
    private readonly bus: Pick<EventBus, 'follow' | 'publish' | 'ensureTopics'>,
    private readonly artifacts: ArtifactStore,
    private readonly gates: Pick<ReleaseGates, 'isRead' | 'of' | 'read'>,
  ) {
    this.letters = new DeadLetters(bus);
    // Zeros first: an increase is seen from the first event on.
    for (const { name } of READ)
      for (const outcome of ['taken', 'passed', 'invalid'])
        counter(METRICS.releaseEvidence).add(0, {
          [ATTRIBUTES.messagingDestination]: name,
          [ATTRIBUTES.outcome]: outcome,
        });
  }

  onAlarm(listener: () => void): void {
    this.alarms.add(listener);
  }

  keepTo(releases: readonly ReleaseRecord[]): void {
    this.wanted = releases;
    const reading = this.current;
    if (reading) this.fit(reading);
    const isLate = releases.some(
      (release) =>
        reading &&
        (sinceOf(release) < reading.sinceMs ||
          (reading.unjudged.has(release.id) && this.gates.isRead(release))),
    );
    if ((reading && releases.length > 0 && !isLate) || (!reading && releases.length === 0)) return;
    this.opening ??= this.reopen()
      .catch((fault: unknown) => {
        const { code, message } = toThalamusError(fault);
        this.logger.warn({ code, reason: message }, 'evidence on releases cannot be read just now');
      })
      .finally(() => {
        this.opening = undefined;
      });
  }

  alarmedAt({ id }: ReleaseRecord): number | undefined {
    return this.alarmed.get(id);
  }

  async close(): Promise<void> {
    this.wanted = [];
    await this.opening;
    await this.leave();
  }

  reading({ id }: ReleaseRecord): releaseV1.LiveReading | undefined {
    return this.current?.isWhole ? this.current.evidence.get(id)?.reading : undefined;
  }

  /** Readings on the way, oldest first; undefined while they are not known. */
  readings({ id }: ReleaseRecord): readonly releaseV1.LiveReading[] | undefined {
    return this.current?.isWhole ? this.current.evidence.get(id)?.readings : undefined;
  }

  /** Whether a probe of a release was answered; undefined while that is not known. */
  answered({ id }: ReleaseRecord): ((item: string) => boolean) | undefined {
    const probes = this.current?.isWhole ? this.current.evidence.get(id)?.probes : undefined;
    return probes && ((item) => probes.has(item));
  }

  figures({ id }: ReleaseRecord): GateEvidence['figures'] {
    return this.current?.isWhole ? this.current.evidence.get(id)?.figures : undefined;
  }

  async catchUp(): Promise<void> {
    const { current: reading } = this;
    if (!reading) throw late();
    await within(Promise.all(reading.followers.map((follower) => follower.catchUp())), CATCH_UP_MS);
  }

  /** What was read of a release, as an artifact; none when it cannot be stored now, for decisions do not wait for it. */
  async evidence(release: ReleaseRecord): Promise<readonly string[]> {
    const evidence = this.current?.evidence.get(release.id);
    if (!evidence) return [];
    const { expert, fromVersion, toVersion, state, id, details } = release;
    const document = {
      ...{ release: id, expert, fromVersion, toVersion, state, step: details.step },
      reading: evidence.reading,
      readings: evidence.readings,
      disagreements: evidence.disagreements,
      ...(evidence.probes ? { lostProbes: evidence.probes.lost } : {}),
    };
    const text = JSON.stringify(document, (key, value: unknown) => {
      if (key === '$typeName') return undefined;
      return typeof value === 'bigint' ? Number(value) : value;
    });
    try {
      const { digest } = await within(this.artifacts.put(Buffer.from(text)), STORE_MS);
      return [digest];
    } catch (fault) {
      const { code, message } = toThalamusError(fault);
      this.logger.warn({ release: id, code, reason: message }, 'evidence of a decision was not stored');
      return [];
    }
  }

  private async reopen(): Promise<void> {
    await this.leave();
    if (this.wanted.length === 0) return;
    // One that cannot be read keeps nobody else's evidence back: its release waits.
    await Promise.allSettled(this.wanted.map((release) => this.gates.read(release)));
    const sinceMs = Math.min(...this.wanted.map(sinceOf), Date.now());
    const reading: Reading = {
      ...{ sinceMs, followers: [], evidence: new Map(), unjudged: new Set() },
      isWhole: false,
    };
    this.current = reading;
    this.fit(reading);
    try {
      await this.letters.prepare(READ.map(({ name }) => name));
      for (const topic of READ)
        reading.followers.push(
          await this.bus.follow({
            ...{ topic: topic.name, sinceMs },
            onRecord: (record) => {
              this.take(reading, record);
            },
            onError: ({ code, message }) => {
              this.logger.warn(
                { code, topic: topic.name, reason: message },
                'evidence cannot be read just now',
              );
            },
          }),
        );
      await Promise.all(reading.followers.map(({ caughtUp }) => caughtUp));
      reading.isWhole = true;
      this.hasRead = true;
      for (const listener of this.alarms) listener();
    } catch (fault) {
      await this.leave();
      throw fault;
    }
  }

  private async leave(): Promise<void> {
    const { current: reading } = this;
    this.current = undefined;
    await Promise.all(reading?.followers.map((follower) => follower.stop().catch(() => undefined)) ?? []);
  }

  /** Begins evidence on what is new, ends that on what is over, and says which step samples count for. */
  private fit(reading: Reading): void {
    for (const id of reading.evidence.keys())
      if (!this.wanted.some((release) => release.id === id)) {
        reading.evidence.delete(id);
        this.alarmed.delete(id);
      }
    for (const release of this.wanted) {
      if (!this.gates.isRead(release)) reading.unjudged.add(release.id);
      if (reading.unjudged.has(release.id)) continue;
      const evidence = reading.evidence.get(release.id) ?? new LiveEvidence(release, this.gates.of(release));
      reading.evidence.set(release.id, evidence);
      const { state, step, stepBeganAt } = release.details;
      const beganMs = stepBeganAt ? timestampMs(stepBeganAt) : 0;
      evidence.inStep(`${state}/${step}`, state === releaseV1.ReleaseState.SHADOW, beganMs);
    }
  }

  private isUnread(record: ReceivedRecord): boolean {
    return record.offset >= (this.unread.get(placeOf(record)) ?? 0n);
  }

  private take(reading: Reading, record: ReceivedRecord): void {
    let outcome: string;
    try {
      outcome = takeEvent(reading.evidence, record);
    } catch (fault) {
      outcome = 'invalid';
      if (this.hasRead && this.isUnread(record)) this.letters.bury(record, toThalamusError(fault));
    }
    if (this.isUnread(record)) this.unread.set(placeOf(record), record.offset + 1n);
    counter(METRICS.releaseEvidence).add(1, {
      [ATTRIBUTES.messagingDestination]: record.topic,
      [ATTRIBUTES.outcome]: outcome,
    });
    if (!reading.isWhole) return;
    for (const [id, evidence] of reading.evidence)
      if (!this.alarmed.has(id) && evidence.isBroken) {
        this.alarmed.set(id, performance.now());
        for (const listener of this.alarms) listener();
      }
  }
}

function placeOf({ topic, partition }: ReceivedRecord): string {
  return `${topic}/${partition}`;
}

function sinceOf({ details }: ReleaseRecord): number {
  return details.trafficBeganAt ? timestampMs(details.trafficBeganAt) : 0;
}
