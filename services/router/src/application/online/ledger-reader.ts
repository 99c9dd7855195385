import { TOPICS } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { decodeEvent, type EventBus, type Follower, type ReceivedRecord } from '@thalamus/events';
import { createLogger } from '@thalamus/telemetry';
import type { CorrectionView } from './correction-view.js';
import { OutcomeLedger, type FeedbackEnd, type LedgerParts } from './outcome-ledger.js';
import { readFeedback } from './read-feedback.js';

/** How long reading what stands now may take, and how long nothing may come while a ledger is read, milliseconds. */
const CATCH_UP_MS = 10_000;

/** What a ledger is read from. */
export interface ReaderParts extends LedgerParts {
  readonly bus: Pick<EventBus, 'follow'>;
  readonly view: Pick<CorrectionView, 'records' | 'refresh'>;
}

/** A ledger, and the follower that tells it of requests. */
export interface Reading {
  readonly ledger: OutcomeLedger;
  readonly requests: Follower;
  /** Requests and feedback that came before are not in the ledger, Unix milliseconds. */
  readonly sinceMs: number;
}

/** Reads ledgers from the bus: what is written, then requests as far back as feedback may speak of them, and the feedback of that time. */
export class LedgerReader {
  private readonly followers = new Set<Follower>();
  private isClosed = false;
  private heardAtMs = 0;
  private readonly logger = createLogger('corrector');

  /** @param onEarly told what became of feedback that came before its request */
  constructor(
    private readonly parts: ReaderParts,
    private readonly onEarly: (end: FeedbackEnd, ledger: OutcomeLedger) => void,
  ) {}

  /**
   * A ledger that knows all that stands since a moment, and goes on hearing of requests. Undefined when the reader was closed meanwhile.
   * @throws DEADLINE_EXCEEDED when nothing more comes before the end is reached
   */
  async open(sinceMs: number): Promise<Reading | undefined> {
    const { view } = this.parts;
    await within(view.refresh(), 'Corrections');
    if (this.isOver()) return undefined;
    const ledger = new OutcomeLedger(this.parts, view.records);
    const requests = await this.follow(TOPICS.requestCompleted.name, sinceMs, (record) => {
      this.completed(ledger, record);
    });
    try {
      if (!this.isOver()) await this.caughtUp(requests, 'Requests');
      if (!this.isOver()) await this.readBefore(ledger, sinceMs);
    } catch (fault) {
      await this.leave(requests);
      throw fault;
    }
    if (this.isOver()) return this.leave(requests);
    ledger.book.begins();
    return { ledger, requests, sinceMs };
  }

  /** Resolves once the requests that stand now are in the ledger. @throws DEADLINE_EXCEEDED, and what the bus throws */
  catchUp({ requests }: Reading): Promise<void> {
    return within(requests.catchUp(), 'Requests');
  }

  /** Ends the reading of a ledger. */
  async drop({ requests }: Reading): Promise<void> {
    await this.leave(requests);
  }

  /** Ends all reading, that which is being opened included. */
  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all([...this.followers].map((follower) => this.leave(follower)));
  }

  private isOver(): boolean {
    return this.isClosed;
  }

  private async readBefore(ledger: OutcomeLedger, sinceMs: number): Promise<void> {
    const feedback = await this.follow(TOPICS.feedbackGiven.name, sinceMs, (record) => {
      if (!ledger.book.hasFolded(record)) return;
      // What cannot be read was given up when it came first.
      const before = unlessInvalid(() => readFeedback(record));
      const end = before && ledger.readBefore(before);
      if (end) this.onEarly(end, ledger);
    });
    try {
      if (!this.isOver()) await this.caughtUp(feedback, 'Feedback');
    } finally {
      await this.leave(feedback);
    }
  }

  private completed(ledger: OutcomeLedger, record: ReceivedRecord): void {
    const event = unlessInvalid(
      () => decodeEvent(TOPICS.requestCompleted, record),
      ({ code, message }) => {
        this.logger.error(
          { code, reason: message, offset: String(record.offset) },
          'a request cannot be read',
        );
      },
    );
    const end = event && ledger.completed(event, record);
    if (end) this.onEarly(end, ledger);
  }

  private async follow(
    topic: string,
    sinceMs: number,
    onRecord: (record: ReceivedRecord) => void,
  ): Promise<Follower> {
    const follower = await this.parts.bus.follow({
      topic,
      sinceMs,
      onRecord: (record) => {
        this.heardAtMs = Date.now();
        onRecord(record);
      },
      onError: ({ code, message }) => {
        this.logger.warn({ code, topic, reason: message }, 'outcomes cannot be read just now');
      },
    });
    this.followers.add(follower);
    return follower;
  }

  /** What stands has been read. An hour of it may be much: only that nothing comes has a deadline. */
  private async caughtUp(follower: Follower, what: string): Promise<void> {
    this.heardAtMs = Date.now();
    let timer: NodeJS.Timeout | undefined;
    const stuck = new Promise<never>((_resolve, reject) => {
      timer = setInterval(() => {
        if (Date.now() - this.heardAtMs > CATCH_UP_MS) reject(late(what));
      }, CATCH_UP_MS / 10);
    });
    try {
      await Promise.race([follower.caughtUp, stuck]);
    } finally {
      clearInterval(timer);
    }
  }

  private async leave(follower: Follower): Promise<undefined> {
    this.followers.delete(follower);
    await follower.stop().catch(() => undefined);
  }
}

function unlessInvalid<T>(read: () => T, onFault: (error: ThalamusError) => void = () => undefined) {
  try {
    return read();
  } catch (fault) {
    onFault(toThalamusError(fault));
    return undefined;
  }
}

/** What is read within its time. @throws DEADLINE_EXCEEDED */
async function within<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(late(what));
    }, CATCH_UP_MS);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}

const late = (what: string) =>
  new ThalamusError(
    'DEADLINE_EXCEEDED',
    `${what}: nothing more came for ${CATCH_UP_MS} ms before the end was reached; all is read again.`,
  );
