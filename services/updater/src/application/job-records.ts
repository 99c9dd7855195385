import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TOPICS } from '@thalamus/contracts';
import { decodeEvent, encodeEvent, encodeTombstone, type BusRecord } from '@thalamus/events';
import type { JobEntry } from '../domain/job-lifecycle.js';

const SOURCE = '/updater';

/** Headers of a job's record: what workers and callers need not see. */
const HEADERS = {
  token: 'thalamus-job-token',
  maxAttempts: 'thalamus-job-max-attempts',
  idempotencyKey: 'thalamus-job-idempotency-key',
  notBeforeMs: 'thalamus-job-not-before-ms',
} as const;

/** Claims of a job that names no limit. */
export const DEFAULT_ATTEMPTS = 3;

/** The record that stores an entry. */
export function encodeJob(entry: JobEntry, nowMs: number): BusRecord {
  const headers = {
    [HEADERS.token]: String(entry.token),
    [HEADERS.maxAttempts]: String(entry.maxAttempts),
    [HEADERS.idempotencyKey]: entry.idempotencyKey,
    [HEADERS.notBeforeMs]: String(entry.notBeforeMs),
  };
  const job = { ...entry.job, updatedAt: timestampFromMs(nowMs) };
  return encodeEvent(TOPICS.jobChanged, { job }, { source: SOURCE, key: job.id, headers });
}

/** The record that forgets a job. */
export function forgetJob(id: string): BusRecord {
  return encodeTombstone(TOPICS.jobChanged, { source: SOURCE, key: id });
}

/** The entry of a record; undefined for a tombstone. @throws EVENT_INVALID */
export function decodeJob(
  record: Pick<BusRecord, 'value' | 'headers' | 'topic' | 'key'>,
): JobEntry | undefined {
  const job = decodeEvent(TOPICS.jobChanged, record)?.job;
  if (!job) return undefined;
  return {
    job,
    token: BigInt(record.headers[HEADERS.token] ?? '0'),
    maxAttempts: Number(record.headers[HEADERS.maxAttempts] ?? DEFAULT_ATTEMPTS),
    idempotencyKey: record.headers[HEADERS.idempotencyKey] ?? '',
    notBeforeMs: Number(record.headers[HEADERS.notBeforeMs] ?? '0'),
  };
}
