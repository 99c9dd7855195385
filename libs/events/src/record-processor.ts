import { context, SpanKind } from '@opentelemetry/api';
import { ATTRIBUTES, deadLetterTopic, EVENT_HEADERS, METRICS } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import {
  contextFromHeaders,
  counter,
  createLogger,
  histogram,
  withSpan,
  type Logger,
} from '@thalamus/telemetry';
import type { BusRecord, Outcome, ReceivedRecord, SubscribeOptions } from './event-bus.port.js';

const DEFAULT_ATTEMPTS = 5;
const DEFAULT_BACKOFF = { initial: 100, max: 10_000 };

let instruments:
  | {
      consumed: ReturnType<typeof counter>;
      dead: ReturnType<typeof counter>;
      duration: ReturnType<typeof histogram>;
    }
  | undefined;
let logger: Logger | undefined;

/** How one record came to its end. */
export type Disposition = 'acked' | 'deadLettered' | 'stopped';

/**
 * Brings one record to its end: handle, retry with growing waits, dead letter. Only the partition of the record waits.
 * Both adapters use it, so that both mean the same by an outcome.
 */
export class RecordProcessor {
  constructor(
    private readonly options: SubscribeOptions,
    private readonly publishDeadLetter: (record: BusRecord) => Promise<void>,
    private readonly system: string,
  ) {
    // Alerts watch how this grows: it has to be there before the first one.
    for (const topic of options.topics)
      this.instruments().dead.add(0, { [ATTRIBUTES.messagingDestination]: topic });
  }

  /** `signal` stops between attempts; `tick` is called while waiting, for heartbeats. */
  async process(
    record: Omit<ReceivedRecord, 'attempt'>,
    signal: AbortSignal,
    tick: () => Promise<void> = () => Promise.resolve(),
  ): Promise<Disposition> {
    const maxAttempts = this.options.maxAttempts ?? DEFAULT_ATTEMPTS;
    let waits = 0;
    for (let attempt = 1; ; attempt++) {
      if (signal.aborted) return 'stopped';
      const { outcome, fault } = await this.attempt({ ...record, attempt }, signal);
      this.count(record.topic, outcome.kind);
      if (outcome.kind === 'ack') return 'acked';
      if (outcome.kind === 'wait') {
        waits += 1;
        if (waits === 1) logWait(record, outcome.error);
      } else if (outcome.kind === 'deadLetter' || attempt - waits >= maxAttempts) {
        const error = outcome.kind === 'deadLetter' ? outcome.error : givenUp(attempt - waits, fault);
        await this.bury(record, attempt, error);
        return 'deadLettered';
      }
      await this.wait(outcome.afterMs ?? this.backoff(attempt), signal, tick);
    }
  }

  private async attempt(
    record: ReceivedRecord,
    signal: AbortSignal,
  ): Promise<{ readonly outcome: Outcome; readonly fault?: ThalamusError }> {
    const startedAt = performance.now();
    const attributes = {
      [ATTRIBUTES.messagingSystem]: this.system,
      [ATTRIBUTES.messagingDestination]: record.topic,
      [ATTRIBUTES.messagingOperationType]: 'process',
      [ATTRIBUTES.messagingGroup]: this.options.group,
      [ATTRIBUTES.messagingPartition]: String(record.partition),
      [ATTRIBUTES.messagingOffset]: Number(record.offset),
    };
    const parent = contextFromHeaders(record.headers);
    try {
      const options = { kind: SpanKind.CONSUMER, attributes, parent };
      const outcome = await withSpan(`process ${record.topic}`, options, () =>
        this.options.handle(record, { signal }),
      );
      return { outcome };
    } catch (fault) {
      const error = toThalamusError(fault);
      logger ??= createLogger('events');
      logger.warn(
        {
          topic: record.topic,
          partition: record.partition,
          offset: String(record.offset),
          attempt: record.attempt,
          code: error.code,
          error: error.cause,
        },
        'handler failed',
      );
      return { outcome: { kind: 'retry' }, fault: error };
    } finally {
      this.instruments().duration.record((performance.now() - startedAt) / 1000, {
        [ATTRIBUTES.messagingDestination]: record.topic,
      });
    }
  }

  private async bury(
    record: Omit<ReceivedRecord, 'attempt'>,
    attempts: number,
    error: ThalamusError,
  ): Promise<void> {
    const letter = deadLetterOf(record, attempts, error);
    await context.with(contextFromHeaders(record.headers), () => this.publishLetter(letter));
    this.instruments().dead.add(1, {
      [ATTRIBUTES.messagingDestination]: record.topic,
      [ATTRIBUTES.errorType]: error.code,
    });
  }

  /** A record that is too large with the facts of its death goes without its payload: it must not block its partition. */
  private async publishLetter(letter: BusRecord): Promise<void> {
    try {
      await this.publishDeadLetter(letter);
    } catch (fault) {
      if (toThalamusError(fault).code !== 'EVENT_TOO_LARGE') throw fault;
      await this.publishDeadLetter({ ...letter, value: null });
    }
  }

  private backoff(attempt: number): number {
    const { initial, max } = this.options.backoffMs ?? DEFAULT_BACKOFF;
    return Math.min(max, initial * 2 ** (attempt - 1)) * (0.8 + 0.4 * Math.random());
  }

  private async wait(totalMs: number, signal: AbortSignal, tick: () => Promise<void>): Promise<void> {
    const until = performance.now() + totalMs;
    while (!signal.aborted && performance.now() < until) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, Math.max(0, Math.min(1_000, until - performance.now())));
        signal.addEventListener('abort', done, { once: true });
      });
      await tick();
    }
  }

  private count(topic: string, outcome: string): void {
    this.instruments().consumed.add(1, {
      [ATTRIBUTES.messagingDestination]: topic,
      [ATTRIBUTES.outcome]: outcome,
    });
  }

  private instruments() {
    instruments ??= {
      consumed: counter(METRICS.messagesConsumed),
      dead: counter(METRICS.deadLetters),
      duration: histogram(METRICS.processDuration),
    };
    return instruments;
  }
}

function givenUp(faults: number, last: ThalamusError | undefined): ThalamusError {
  return new ThalamusError(
    last?.code ?? 'INTERNAL',
    `Handling failed ${faults} times${last ? `, the last time so: ${last.message}` : '.'}`,
  );
}

/** Said once for a record, however long it waits. */
function logWait({ topic, partition, offset }: Omit<ReceivedRecord, 'attempt'>, error: ThalamusError): void {
  logger ??= createLogger('events');
  logger.warn(
    { topic, partition, offset: String(offset), code: error.code, reason: error.message },
    'a record waits for what its handling needs',
  );
}

/** The dead letter of a record: as it came, with why and from where. */
export function deadLetterOf(
  record: Omit<ReceivedRecord, 'attempt'>,
  attempts: number,
  error: ThalamusError,
): BusRecord {
  const headers = {
    ...record.headers,
    [EVENT_HEADERS.errorCode]: error.code,
    [EVENT_HEADERS.errorMessage]: error.message.slice(0, 300),
    [EVENT_HEADERS.attempt]: String(attempts),
    [EVENT_HEADERS.originTopic]: record.topic,
    [EVENT_HEADERS.originPartition]: String(record.partition),
    [EVENT_HEADERS.originOffset]: String(record.offset),
  };
  return { topic: deadLetterTopic(record.topic), key: record.key, value: record.value, headers };
}
