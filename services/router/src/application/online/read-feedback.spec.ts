import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TOPICS } from '@thalamus/contracts';
import { encodeEvent } from '@thalamus/events';
import { describe, expect, it } from 'vitest';
import { readFeedback } from './read-feedback.js';

const HOUR = 3_600_000;
const nowMs = Date.now();

const read = (timestampMs: number, givenAtMs?: number) => {
  const givenAt = givenAtMs === undefined ? {} : { givenAt: timestampFromMs(givenAtMs) };
  const message = { requestId: 'r', tenant: 't', label: '', score: 1, ...givenAt };
  const record = encodeEvent(TOPICS.feedbackGiven, message, { source: '/test', key: 'r' });
  return readFeedback({ ...record, partition: 0, offset: 0n, timestampMs, attempt: 1 })?.atMs;
};

describe('the moment of feedback', () => {
  it('is when it was given, though the bus took it later', () => {
    expect(read(nowMs - 1, nowMs - HOUR)).toBe(nowMs - HOUR);
  });

  it('is when the bus took it where it does not say, or says a later one', () => {
    expect(read(nowMs - 7)).toBe(nowMs - 7);
    expect(read(nowMs - 7, nowMs + HOUR)).toBe(nowMs - 7);
  });

  it('is never ahead of now', () => {
    expect(read(nowMs + HOUR, nowMs + HOUR)).toBeLessThanOrEqual(Date.now());
  });
});
