import { ThalamusError } from '@thalamus/errors';

const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);
/** Another has the transactional id by now; brokers say so in several ways. */
const FENCED = /FENCED|INVALID_PRODUCER_EPOCH|INVALID_TXN_STATE/;

interface KafkaFault {
  readonly type?: string;
  readonly name?: string;
  readonly message?: string;
  readonly cause?: unknown;
}

/** Type that the broker gave an error, such as MESSAGE_TOO_LARGE; searched through its causes. */
export function brokerErrorType(fault: unknown): string {
  for (let cause = fault as KafkaFault | undefined, depth = 0; cause && depth < 5; depth++) {
    if (typeof cause.type === 'string') return cause.type;
    cause = cause.cause as KafkaFault | undefined;
  }
  return '';
}

/** True when the broker refused a transactional producer because a later one has its id. */
export function isFenced(fault: unknown): boolean {
  return (
    FENCED.test(brokerErrorType(fault)) || /fenced|newer epoch/i.test((fault as KafkaFault).message ?? '')
  );
}

/** What kafkajs throws, in our words; an error that is not of Kafka passes unchanged. */
export function translateKafka(fault: unknown, brokers: readonly string[]): unknown {
  if (ThalamusError.is(fault)) return fault;
  if (TOO_LARGE.has(brokerErrorType(fault)))
    return new ThalamusError(
      'EVENT_TOO_LARGE',
      'A record is larger than the broker accepts; send less in one event.',
      { cause: fault },
    );
  if (fault instanceof Error && fault.name.startsWith('KafkaJS'))
    return new ThalamusError(
      'KAFKA_UNREACHABLE',
      `Kafka at ${brokers.join(', ')} did not do its part: ${fault.message.replace(/\.$/, '')}. Check the brokers; the same call may succeed later.`,
      { cause: fault },
    );
  return fault;
}
