import { TOPICS } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { decodeEvent, encodeEvent, encodeTombstone, topicSpec } from './cloud-events.js';

const facts = { source: '/updater', key: 'job-1' };

function faultOf(work: () => unknown) {
  try {
    work();
  } catch (fault) {
    return toThalamusError(fault);
  }
  return undefined;
}

describe('events on the wire', () => {
  it('come back as they were, and a tombstone as nothing', () => {
    const record = encodeEvent(TOPICS.jobChanged, { job: { id: 'job-1' } }, facts);
    expect(decodeEvent(TOPICS.jobChanged, record)?.job?.id).toBe('job-1');
    expect(decodeEvent(TOPICS.jobChanged, encodeTombstone(TOPICS.jobChanged, facts))).toBeUndefined();
  });

  it('of another type, without a type, or torn: refused as EVENT_INVALID with topic and type', () => {
    const record = encodeEvent(TOPICS.jobChanged, { job: { id: 'job-1' } }, facts);
    const wrong = faultOf(() => decodeEvent(TOPICS.registryState, record));
    expect(wrong?.code).toBe('EVENT_INVALID');
    expect(wrong?.message).toContain(TOPICS.jobChanged.type);
    expect(faultOf(() => decodeEvent(TOPICS.jobChanged, { ...record, headers: {} }))?.code).toBe(
      'EVENT_INVALID',
    );
    const torn = { ...record, value: new Uint8Array([0x0a, 0xff, 0xff]) };
    expect(faultOf(() => decodeEvent(TOPICS.jobChanged, torn))?.code).toBe('EVENT_INVALID');
  });

  it('topics are made as they are defined', () => {
    expect(topicSpec(TOPICS.registryState)).toEqual({
      name: 'thalamus.registry.state.v1',
      partitions: 1,
      compacted: true,
    });
    expect(topicSpec(TOPICS.requestCompleted)).toMatchObject({ partitions: 6, retentionMs: 604_800_000 });
  });
});
