import { ATTRIBUTES, METRICS, TOPICS, type eventsV1 } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import {
  decodeEvent,
  idempotent,
  type EventBus,
  type FencedWriter,
  type Follower,
  type Outcome,
  type ReceivedRecord,
  type Subscription,
} from '@thalamus/events';
import { counter, createLogger, histogram } from '@thalamus/telemetry';
import { CorrectionBook, type BookSettings } from './correction-book.js';
import type { CorrectionView } from './correction-view.js';
import type { JudgeOutcome } from './judge-outcome.js';
import { OutcomeWindow, type DecidedRequest, type GivenScore, type WindowLimits } from './outcome-window.js';

/** How the corrector works. */
export interface CorrectorSettings extends BookSettings {
  readonly window: WindowLimits;
  /** How often corrections are looked through for what has worn off, milliseconds. */
  readonly sweepMs: number;
}

/** What a term of the corrector works with. */
export interface CorrectorParts {
  readonly bus: Pick<EventBus, 'follow' | 'subscribe'>;
  readonly view: Pick<CorrectionView, 'records' | 'refresh' | 'resetAtMs'>;
  readonly judge: Pick<JudgeOutcome, 'run' | 'serves' | 'unitOf'>;
  readonly settings: CorrectorSettings;
}

const GROUP = 'thalamus-router-corrector';
/** How long feedback at work may take to end, milliseconds. */
const STOP_MS = 1_000;

/**
 * The work of one elected corrector, from its election to its end. Feedback is acknowledged once all that it changes is
 * written, in one append with how far feedback has been read: what comes again after a death is known, and folded in once.
 */
export class CorrectorTerm {
  private book: CorrectionBook;
  private readonly window: OutcomeWindow;
  private follower: Follower | undefined;
  private subscription: Subscription | undefined;
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private next: Promise<void> | undefined;
  /** True once an append has failed: the book may be ahead of what is written. */
  private isAhead = false;
  private hasEnded = false;
  private mending: Promise<void> | undefined;
  private readonly outcomes = counter(METRICS.routeOutcomes);
  private readonly alarms = counter(METRICS.driftAlarms);
  private readonly predicted = histogram(METRICS.predictedLoss);
  private readonly observed = histogram(METRICS.observedLoss);
  private readonly logger = createLogger('corrector');

  constructor(
    private readonly parts: CorrectorParts,
    private readonly writer: FencedWriter,
  ) {
    this.window = new OutcomeWindow(parts.settings.window);
    this.book = this.readBook();
  }

  /**
   * Goes on from what is written, reads the requests that feedback may still speak of, then feedback. A term that ends meanwhile
   * goes no further: feedback that it took would be lost to the next corrector.
   */
  async begin(nowMs: number): Promise<void> {
    const { bus, view, settings } = this.parts;
    if (!this.isOver()) await view.refresh();
    if (this.isOver()) return;
    this.book = this.readBook();
    this.follower = await bus.follow({
      topic: TOPICS.requestCompleted.name,
      sinceMs: nowMs - settings.window.ageMs,
      onRecord: (record) => {
        this.completed(record);
      },
      onError: (error) => {
        this.logger.warn({ code: error.code, reason: error.message }, 'requests cannot be read just now');
      },
    });
    if (!this.isOver()) await this.follower.caughtUp;
    if (this.isOver()) return this.follower.stop();
    this.subscription = await bus.subscribe({
      group: GROUP,
      topics: [TOPICS.feedbackGiven.name],
      handle: idempotent((record) => this.handle(record)),
    });
    if (this.isOver()) return this.subscription.stop(STOP_MS);
    this.timer = setInterval(() => {
      this.sweep(Date.now());
    }, settings.sweepMs).unref();
  }

  async end(): Promise<void> {
    this.hasEnded = true;
    clearInterval(this.timer);
    await this.subscription?.stop(STOP_MS);
    await this.follower?.stop();
    await this.writing.catch(() => undefined);
  }

  private isOver(): boolean {
    return this.hasEnded;
  }

  /** Lets corrections wear off, and forgets those that are over. */
  sweep(nowMs: number): void {
    const { view, judge } = this.parts;
    this.book.sweep(nowMs, view.resetAtMs(), (head) => judge.serves(head));
    this.writeLater();
  }

  private async handle(record: ReceivedRecord): Promise<Outcome> {
    if (this.isAhead) await this.mend();
    const { partition, offset, timestampMs } = record;
    if (this.book.hasFolded(partition, offset, timestampMs)) return this.done('duplicate');
    let feedback: eventsV1.FeedbackGiven | undefined;
    try {
      feedback = decodeEvent(TOPICS.feedbackGiven, record);
      requireScore(feedback);
    } catch (fault) {
      this.count('invalid');
      return { kind: 'deadLetter', error: toThalamusError(fault) };
    }
    // A publisher's clock may be ahead: nothing that comes before such a moment would count.
    const became = await this.learn(feedback, Math.min(timestampMs, Date.now()));
    this.book.passed(partition, offset, timestampMs);
    await this.write();
    if (became.request) this.window.judged(feedback?.requestId ?? '');
    return this.done(became.kind);
  }

  private async learn(
    feedback: eventsV1.FeedbackGiven | undefined,
    atMs: number,
  ): Promise<{ readonly kind: string; readonly request?: DecidedRequest }> {
    if (feedback?.score === undefined) return { kind: 'unscored' };
    const { requestId, tenant, score } = feedback;
    const given = { tenant, score, atMs };
    let request = this.window.find(requestId, given);
    if (!request) {
      await this.follower?.catchUp();
      request = this.window.find(requestId, given);
    }
    if (!request) {
      this.window.wait(requestId, given);
      return { kind: 'unmatched' };
    }
    return { kind: this.fold(request, given), request };
  }

  private fold(request: DecidedRequest, given: GivenScore): string {
    const verdict = this.parts.judge.run(request, given);
    if (verdict.kind !== 'counts') return verdict.kind;
    const { outcome } = verdict;
    const { expert, version, routerModel } = outcome;
    const isAlarm = this.book.fold(outcome);
    // What is predicted by a linear head may be a little less than nothing, which no histogram takes.
    this.predicted.record(Math.max(0, outcome.predicted), { [ATTRIBUTES.task]: request.task });
    this.observed.record(outcome.observed, { [ATTRIBUTES.task]: request.task });
    // Who alerts on how it grows has to see it before.
    this.alarms.add(isAlarm ? 1 : 0, { [ATTRIBUTES.expertName]: expert });
    if (isAlarm) this.logger.warn({ expert, version, routerModel }, 'an expert does worse than predicted');
    return 'folded';
  }

  private completed(record: ReceivedRecord): void {
    let event: eventsV1.RequestCompleted | undefined;
    try {
      event = decodeEvent(TOPICS.requestCompleted, record);
    } catch (fault) {
      const { code, message } = toThalamusError(fault);
      this.logger.error({ code, reason: message, offset: String(record.offset) }, 'a request cannot be read');
      return;
    }
    const early = event && this.window.completed(event);
    if (!early) return;
    this.count(this.fold(early.request, early.given));
    this.writeLater();
  }

  /** Writes what is not written yet; all that comes while an append runs goes into the next one. */
  private write(): Promise<void> {
    this.next ??= this.writing
      .catch(() => undefined)
      .then(() => {
        this.next = undefined;
        return this.append();
      });
    this.writing = this.next;
    return this.next;
  }

  private writeLater(): void {
    this.write().catch((fault: unknown) => {
      const { code, message } = toThalamusError(fault);
      this.logger.warn({ code, reason: message }, 'corrections could not be written');
    });
  }

  private async append(): Promise<void> {
    if (this.isAhead)
      throw new ThalamusError(
        'KAFKA_UNREACHABLE',
        'An earlier append failed; corrections are read again first.',
      );
    const records = this.book.takeUnwritten();
    if (records.length === 0) return;
    try {
      await this.writer.append(records);
    } catch (fault) {
      this.isAhead = true;
      throw fault;
    }
  }

  /** Throws the book away and goes on from what is written. */
  private mend(): Promise<void> {
    this.mending ??= this.mendNow().finally(() => {
      this.mending = undefined;
    });
    return this.mending;
  }

  private async mendNow(): Promise<void> {
    await this.writing.catch(() => undefined);
    await this.parts.view.refresh();
    this.book = this.readBook();
    this.isAhead = false;
  }

  private readBook(): CorrectionBook {
    const { settings, judge, view } = this.parts;
    return new CorrectionBook(settings, (routerModel) => judge.unitOf(routerModel), view.records);
  }

  private done(outcome: string): Outcome {
    this.count(outcome);
    return { kind: 'ack' };
  }

  private count(outcome: string): void {
    this.outcomes.add(1, { [ATTRIBUTES.outcome]: outcome });
  }
}

function requireScore(feedback: eventsV1.FeedbackGiven | undefined): void {
  const score = feedback?.score;
  if (score === undefined || (score >= 0 && score <= 1)) return;
  throw new ThalamusError('EVENT_INVALID', `Feedback has a score of ${score}; it goes from 0 to 1.`);
}
