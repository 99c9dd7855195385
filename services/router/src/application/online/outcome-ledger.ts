import { ATTRIBUTES, METRICS, type eventsV1 } from '@thalamus/contracts';
import { counter, createLogger, histogram } from '@thalamus/telemetry';
import type { ReadRecord } from '../../domain/read-positions.js';
import { CorrectionBook, type BookSettings } from './correction-book.js';
import type { JudgeOutcome } from './judge-outcome.js';
import {
  OutcomeWindow,
  type GivenScore,
  type RememberedRequest,
  type WindowLimits,
} from './outcome-window.js';

/** Feedback with a score, as it lies in its topic. */
export interface ScoredFeedback extends GivenScore {
  readonly record: ReadRecord;
}

/** What became of feedback. */
export type FeedbackEnd = 'folded' | 'frozen' | 'stale' | 'duplicate' | 'unmatched';

/** How the ledger judges and remembers. */
export interface LedgerParts {
  readonly judge: Pick<JudgeOutcome, 'run' | 'unitOf'>;
  readonly settings: BookSettings & { readonly window: WindowLimits };
}

/**
 * Brings feedback and requests together, in whichever order they come, and folds each pair into the books once.
 *
 * What survives a term is what the books say of how far both topics had been read at the same moment: a pair of which both had been
 * read has been judged, of any other it has not. So whoever goes on from the books, and reads both topics as far back as feedback may
 * speak of requests, knows which requests are judged and which feedback still waits; nothing but two positions for each partition is kept.
 */
export class OutcomeLedger {
  readonly book: CorrectionBook;
  private readonly window: OutcomeWindow;
  private readonly alarms = counter(METRICS.driftAlarms);
  private readonly predicted = histogram(METRICS.predictedLoss);
  private readonly observed = histogram(METRICS.observedLoss);
  private readonly logger = createLogger('corrector');

  /** Goes on from what is written. */
  constructor(
    private readonly parts: LedgerParts,
    written: ReadonlyMap<string, eventsV1.RouteCorrection>,
  ) {
    const { settings, judge } = parts;
    this.window = new OutcomeWindow(settings.window);
    this.book = new CorrectionBook(settings, (routerModel) => judge.unitOf(routerModel), written);
  }

  /** A request has ended. Returns what became of feedback that came before it; undefined when there was none. */
  completed(event: eventsV1.RequestCompleted, record: ReadRecord): FeedbackEnd | undefined {
    const request = this.window.completed(event, this.book.hasSeen(record));
    this.book.saw(record);
    if (!request) return undefined;
    const early = this.window.takeEarly(request, event.requestId);
    if (!early) return undefined;
    // That the request has been seen has to be written, whatever the verdict: else the next corrector would judge anew.
    this.book.readsOn();
    // It has been read: there is no holding it back.
    return this.judge(request, early) ?? 'stale';
  }

  /**
   * Feedback that was read before what is written was written: requests that had been seen by then are judged, of others it is judged
   * now or waits. Called in the order of the topic, once requests have been read, before anything new.
   */
  readBefore(feedback: ScoredFeedback): FeedbackEnd | undefined {
    const request = this.window.find(feedback);
    if (!request) this.window.wait(feedback);
    else if (request.wasSeen) request.isJudged = true;
    else return this.judge(request, feedback);
    return undefined;
  }

  /** Whether the request of feedback is known. */
  knows(feedback: ScoredFeedback): boolean {
    return this.window.find(feedback) !== undefined;
  }

  /**
   * New feedback: judged, or kept until its request comes. Undefined when it cannot be judged now, for the loss unit of the router
   * model is not known here; nothing has changed then, and it is to come again.
   */
  given(feedback: ScoredFeedback): FeedbackEnd | undefined {
    const request = this.window.find(feedback);
    const end = request ? this.judge(request, feedback) : 'unmatched';
    if (end === undefined) return undefined;
    if (!request) this.window.wait(feedback);
    this.book.passed(feedback.record);
    return end;
  }

  /** Feedback that will not be judged: it has been read. */
  givenUp(feedback: ScoredFeedback): FeedbackEnd {
    this.book.passed(feedback.record);
    return 'stale';
  }

  private judge(request: RememberedRequest, given: GivenScore): FeedbackEnd | undefined {
    if (request.isJudged) return 'duplicate';
    const verdict = this.parts.judge.run(request, given);
    if (verdict.kind === 'unknown') return undefined;
    request.isJudged = true;
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
}
