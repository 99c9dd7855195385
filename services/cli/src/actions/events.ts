import { toJson } from '@bufbuild/protobuf';
import { EVENT_HEADERS, TOPICS, type TopicDefinition } from '@thalamus/contracts';
import { decodeEvent, type EventBus, type ReceivedRecord } from '@thalamus/events';
import { ThalamusError } from '@thalamus/errors';
import { eventBusFor } from '@thalamus/registry';
import { runningMesh } from '../gateway-client.js';
import { onInterrupt } from '../interruption.js';
import type { CommonOptions } from '../mesh-command.js';

/** Options of `events tail`. */
export interface TailOptions extends CommonOptions {
  readonly fromBeginning: boolean;
  readonly limit?: number;
  readonly topic?: string;
}

/** Prints events until a signal or the limit. @throws CONFIG_INVALID for an unknown topic */
export async function tail(options: TailOptions): Promise<void> {
  const wanted = options.topic ?? TOPICS.requestCompleted.name;
  const topic = Object.values(TOPICS).find(({ name }) => name === wanted);
  if (!topic) {
    const known = Object.values(TOPICS)
      .map(({ name }) => name)
      .join('\n  ');
    throw new ThalamusError('CONFIG_INVALID', `No topic "${wanted}" exists. Known:\n  ${known}`);
  }
  const { bus: where } = runningMesh(options);
  const bus = eventBusFor(
    {
      bus: where.kind,
      busFile: where.file,
      kafkaBrokers: where.brokers.split(','),
      kafkaConnectTimeoutMs: 10_000,
    },
    'thalamus-cli',
  );
  await bus.start();
  try {
    await follow(bus, topic.name, options);
  } finally {
    await bus.close();
  }
}

async function follow(bus: EventBus, topic: string, options: TailOptions): Promise<void> {
  const startedAt = Date.now();
  let printed = 0;
  // An idle follower does not keep the process alive by itself.
  const alive = setInterval(() => undefined, 60_000);
  await new Promise<void>((resolve, reject) => {
    onInterrupt(resolve);
    const following = bus.follow({
      topic,
      onRecord: (record) => {
        if (!options.fromBeginning && record.timestampMs < startedAt) return;
        if (options.limit !== undefined && printed >= options.limit) return;
        printed += 1;
        process.stdout.write(`${JSON.stringify(line(record))}\n`);
        if (printed === options.limit) resolve();
      },
      // A bus that was away comes back by itself; a record that cannot be read does not.
      onError: (error) => {
        if (!error.spec.retryable) reject(error);
      },
    });
    following
      .then(({ caughtUp }) => caughtUp)
      .then(() => {
        if (process.stderr.isTTY) process.stderr.write(`Following ${topic}; Ctrl-C ends.\n`);
      }, reject);
  }).finally(() => {
    clearInterval(alive);
  });
}

function line(record: ReceivedRecord) {
  const topic = Object.values(TOPICS).find(({ name }) => name === record.topic);
  const facts = {
    topic: record.topic,
    key: record.key,
    partition: record.partition,
    offset: record.offset.toString(),
    time: record.headers[EVENT_HEADERS.time],
  };
  const definition: TopicDefinition | undefined = topic;
  const message = definition && decodeEvent(definition, record);
  return { ...facts, value: definition && message ? toJson(definition.schema, message) : null };
}
