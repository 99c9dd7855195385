import { ATTRIBUTES, METRICS, TOPICS } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import {
  idempotent,
  type EventBus,
  type FencedWriter,
  type Outcome,
  type ReceivedRecord,
  type Subscription,
} from '@thalamus/events';
import { counter, createLogger } from '@thalamus/telemetry';
import type { CorrectionView } from './correction-view.js';
import type { JudgeOutcome } from './judge-outcome.js';
import { LedgerReader, type Reading } from './ledger-reader.js';
import type { FeedbackEnd, LedgerParts, OutcomeLedger, ScoredFeedback } from './outcome-ledger.js';
import { readFeedback } from './read-feedback.js';

/** How the corrector works. */
export type CorrectorSettings = LedgerParts['settings'] & {
  /** How often corrections are looked through for what has worn off, milliseconds. */
  readonly sweepMs: number;
};

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
 * written, in one append with how far feedback and requests have been read: what comes again after a death is known, and folded in once.
 * While the bus is away feedback waits. After an append that failed, what is written is read again, and all goes on from there.
 */
export class CorrectorTerm {
  private readonly reader: LedgerReader;
  private reading: Reading | undefined;
  private opening: Promise<Reading | undefined> | undefined;
  private subscription: Subscription | undefined;
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private next: Promise<void> | undefined;
  private hasEnded = false;
  private readonly outcomes = counter(METRICS.routeOutcomes);
  private readonly logger = createLogger('corrector');

  constructor(
    private readonly parts: CorrectorParts,
    private readonly writer: FencedWriter,
  ) {
    this.reader = new LedgerReader(parts, (end, ledger) => {
      this.count(end);
      if (this.reading?.ledger === ledger) this.writeLater(this.reading);
    });
  }

  /**
   * Goes on from what is written and from what came in the time that feedback may speak of, then takes new feedback. A term that
   * ends meanwhile goes no further: feedback that it took would be lost to the next corrector.
   */
  async begin(): Promise<void> {
    const { bus, settings } = this.parts;
    if (this.isOver() || !(await this.read())) return;
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
    await this.reader.close();
    await this.writing.catch(() => undefined);
  }

  private isOver(): boolean {
    return this.hasEnded;
  }

  /** Lets corrections wear off, and forgets those that are over. */
  sweep(nowMs: number): void {
    const { view, judge } = this.parts;
    if (this.reading) {
      this.reading.ledger.book.sweep(nowMs, view.resetAtMs(), (head) => judge.serves(head));
      this.writeLater(this.reading);
    } else if (this.subscription && !this.isOver())
      // An append failed, and no feedback has come since.
      this.read().catch((fault: unknown) => {
        this.warn(fault, 'corrections cannot be read again just now');
      });
  }

  private async handle(record: ReceivedRecord): Promise<Outcome> {
    let feedback: ScoredFeedback | undefined;
    try {
      feedback = readFeedback(record);
    } catch (fault) {
      this.count('invalid');
      return { kind: 'deadLetter', error: toThalamusError(fault) };
    }
    try {
      return await this.take(record, feedback);
    } catch (fault) {
      const error = toThalamusError(fault);
      // The bus is away, or the term ends: no fault of the feedback.
      if (error.spec.retryable) return { kind: 'wait', error };
      throw fault;
    }
  }

  private async take(record: ReceivedRecord, feedback: ScoredFeedback | undefined): Promise<Outcome> {
    const reading = this.reading ?? (await this.read());
    if (!reading) throw outdated();
    const { ledger } = reading;
    if (ledger.book.hasFolded(record)) {
      // What it repeats may not be written yet.
      await this.write(reading);
      return this.done('duplicate');
    }
    if (!feedback) ledger.book.passed(record);
    else if (!ledger.knows(feedback)) {
      const { ageMs } = this.parts.settings.window;
      if (feedback.atMs - ageMs < reading.sinceMs) return this.readBack(reading, feedback.atMs - ageMs);
      await this.reader.catchUp(reading);
    }
    const end = feedback ? this.endOf(feedback, ledger) : 'unscored';
    if (end === undefined) return { kind: 'wait', error: unitUnknown() };
    await this.write(reading);
    return this.done(end);
  }

  /** Undefined for feedback that is to come again. One that no loss unit comes for is given up, so that it does not hold all others. */
  private endOf(feedback: ScoredFeedback, ledger: OutcomeLedger): FeedbackEnd | undefined {
    const end = ledger.given(feedback);
    if (end !== undefined || Date.now() - feedback.atMs <= this.parts.settings.window.ageMs) return end;
    this.logger.warn(
      { code: 'ROUTER_MODEL_NOT_FOUND', requestId: feedback.requestId },
      'feedback is given up: the loss unit of its router model did not become known',
    );
    return ledger.givenUp(feedback);
  }

  /** Feedback that waited longer than the ledger reaches back, as while the bus was away: the ledger is read anew, further back. */
  private async readBack(reading: Reading, sinceMs: number): Promise<Outcome> {
    await this.write(reading);
    if (this.reading === reading) {
      this.reading = undefined;
      const opened = this.read(sinceMs);
      await this.reader.drop(reading);
      await opened;
    }
    return { kind: 'wait', error: outdated() };
  }

  /** Reads what is written, and what came since a moment. Undefined once the term has ended. */
  private read(sinceMs = Date.now() - this.parts.settings.window.ageMs): Promise<Reading | undefined> {
    this.opening ??= this.open(sinceMs).finally(() => {
      this.opening = undefined;
    });
    return this.opening;
  }

  private async open(sinceMs: number): Promise<Reading | undefined> {
    await this.writing.catch(() => undefined);
    this.reading = await this.reader.open(sinceMs);
    if (this.reading) this.sweep(Date.now());
    return this.reading;
  }

  /** Writes what is not written yet; all that comes while an append runs goes into the next one. */
  private write(reading: Reading): Promise<void> {
    if (this.reading !== reading) return Promise.reject(outdated());
    this.next ??= this.writing
      .catch(() => undefined)
      .then(() => {
        this.next = undefined;
        return this.append();
      });
    this.writing = this.next;
    return this.next;
  }

  private writeLater(reading: Reading): void {
    this.write(reading).catch((fault: unknown) => {
      this.warn(fault, 'corrections could not be written');
    });
  }

  private async append(): Promise<void> {
    const { reading } = this;
    if (!reading) throw outdated();
    const records = reading.ledger.book.takeUnwritten();
    if (records.length === 0) return;
    try {
      await this.writer.append(records);
    } catch (fault) {
      // The ledger is ahead of what is written, or may be.
      this.reading = undefined;
      void this.reader.drop(reading);
      throw fault;
    }
  }

  private done(outcome: FeedbackEnd | 'unscored'): Outcome {
    this.count(outcome);
    return { kind: 'ack' };
  }

  private count(outcome: string): void {
    this.outcomes.add(1, { [ATTRIBUTES.outcome]: outcome });
  }

  private warn(fault: unknown, message: string): void {
    const { code, message: reason } = toThalamusError(fault);
    this.logger.warn({ code, reason }, message);
  }
}

const outdated = () =>
  new ThalamusError(
    'KAFKA_UNREACHABLE',
    'Corrections are read again first, for an append failed or older requests are spoken of.',
  );

const unitUnknown = () =>
  new ThalamusError(
    'ROUTER_MODEL_NOT_FOUND',
    'The registry does not say what the losses of the router model are, and it is not loaded here; register it again.',
  );
