import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { EVENT_HEADERS, type TopicDefinition } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { randomUUID } from 'node:crypto';
import type { BusRecord, TopicSpec } from './event-bus.port.js';

/** Facts of an event that are not in its payload. */
export interface EventFacts {
  /** Service that says it, such as `/gateway`. */
  readonly source: string;
  /** Key of the record. */
  readonly key: string;
  /** Id; default: a random one. Consumers drop an id they have seen. */
  readonly id?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A record in CloudEvents 1.0 binary mode with a protobuf payload. */
export function encodeEvent<S extends DescMessage>(
  topic: TopicDefinition & { readonly schema: S },
  message: MessageInitShape<S>,
  facts: EventFacts,
): BusRecord {
  return {
    topic: topic.name,
    key: facts.key,
    value: toBinary(topic.schema, create(topic.schema, message)),
    headers: {
      [EVENT_HEADERS.specVersion]: '1.0',
      [EVENT_HEADERS.id]: facts.id ?? randomUUID(),
      [EVENT_HEADERS.source]: facts.source,
      [EVENT_HEADERS.type]: topic.type,
      [EVENT_HEADERS.subject]: facts.key,
      [EVENT_HEADERS.time]: new Date().toISOString(),
      [EVENT_HEADERS.contentType]: 'application/protobuf',
      ...facts.headers,
    },
  };
}

/** A tombstone for a key of a compacted topic. */
export function encodeTombstone(topic: TopicDefinition, facts: EventFacts): BusRecord {
  const headers = {
    [EVENT_HEADERS.specVersion]: '1.0',
    [EVENT_HEADERS.id]: facts.id ?? randomUUID(),
    [EVENT_HEADERS.source]: facts.source,
    [EVENT_HEADERS.type]: topic.type,
    [EVENT_HEADERS.subject]: facts.key,
    [EVENT_HEADERS.time]: new Date().toISOString(),
    ...facts.headers,
  };
  return { topic: topic.name, key: facts.key, value: null, headers };
}

/**
 * Payload of a record; undefined for a tombstone.
 * @throws EVENT_INVALID when the type is another or the bytes cannot be read.
 */
export function decodeEvent<S extends DescMessage>(
  topic: TopicDefinition & { readonly schema: S },
  record: Pick<BusRecord, 'value' | 'headers' | 'topic' | 'key'>,
): MessageShape<S> | undefined {
  if (record.value === null) return undefined;
  const type = record.headers[EVENT_HEADERS.type];
  if (type !== topic.type)
    throw new ThalamusError(
      'EVENT_INVALID',
      `A record of ${record.topic} has the type ${type ?? 'none'} instead of ${topic.type}.`,
    );
  try {
    return fromBinary(topic.schema, record.value);
  } catch (cause) {
    throw new ThalamusError(
      'EVENT_INVALID',
      `A record of ${record.topic} cannot be decoded as ${topic.type}.`,
      { cause },
    );
  }
}

/** The topic settings of a definition. */
export function topicSpec(topic: TopicDefinition): TopicSpec {
  return {
    name: topic.name,
    partitions: topic.partitions,
    compacted: topic.compacted,
    ...(topic.retentionMs === undefined ? {} : { retentionMs: topic.retentionMs }),
  };
}
