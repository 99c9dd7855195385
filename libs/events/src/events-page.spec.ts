import {
  DEAD_LETTER_RETENTION_MS,
  EVENT_HEADERS,
  LEADER_TOPIC,
  TOPICS,
  type TopicDefinition,
} from '@thalamus/contracts';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MAX_RECORD_BYTES } from './record-size.js';

const DAY_MS = 86_400_000;
const page = readFileSync(new URL('../../../docs/reference/events.md', import.meta.url), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `thalamus.'))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

function rowOf(topic: TopicDefinition): string[] {
  return [
    `\`${topic.name}\``,
    topic.compacted ? 'state' : 'log',
    `${topic.partitions}`,
    topic.retentionMs === undefined ? 'last of each key' : `${topic.retentionMs / DAY_MS} days`,
    topic.key,
    `\`${topic.schema.typeName}\``,
    topic.writtenBy.join(', '),
    topic.readBy.join(', '),
  ];
}

describe('docs/reference/events.md', () => {
  it('has every topic as it is defined, and no other', () => {
    expect(rows).toEqual(Object.values(TOPICS).map(rowOf));
    expect(page).toContain(LEADER_TOPIC.name);
  });

  it('names the headers and bounds that the code has', () => {
    for (const header of [
      EVENT_HEADERS.id,
      EVENT_HEADERS.errorCode,
      EVENT_HEADERS.attempt,
      EVENT_HEADERS.originTopic,
    ])
      expect(page).toContain(`\`${header}\``);
    expect(page).toContain(`${MAX_RECORD_BYTES.toLocaleString('en')} bytes`);
    expect(page).toContain(`kept ${DEAD_LETTER_RETENTION_MS / DAY_MS} days`);
  });
});
