import { describe, expect, it } from 'vitest';
import { deadLetterTopic, TOPICS, type TopicDefinition } from './topics.js';

describe('topics', () => {
  const all: TopicDefinition[] = Object.values(TOPICS);

  it('are named thalamus.<area>.<event>.v<n> and typed alike', () => {
    for (const topic of all) {
      expect(topic.name).toMatch(/^thalamus\.[a-z]+\.[a-z]+\.v\d+$/);
      expect(topic.type).toBe(`dev.${topic.name}`);
    }
    expect(new Set(all.map((topic) => topic.name)).size).toBe(all.length);
  });

  it('keep either the last record of a key or records for a time', () => {
    for (const topic of all) expect(topic.compacted).toBe(topic.retentionMs === undefined);
  });

  it('order registry changes in one partition', () => {
    expect(TOPICS.registryState.partitions).toBe(1);
    expect(deadLetterTopic(TOPICS.registryState.name)).toBe('thalamus.registry.state.v1.dlq');
  });
});
