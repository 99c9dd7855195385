import { toJson } from '@bufbuild/protobuf';
import { EVENT_HEADERS, TOPICS, type TopicDefinition } from '@thalamus/contracts';
import { decodeEvent, type ReceivedRecord } from '@thalamus/events';
import { eventBusFor } from '@thalamus/registry';
import { Command } from 'commander';
import { runningMesh } from '../gateway-client.js';
import { meshCommand, wholeNumber, type CommonOptions } from '../mesh-command.js';

interface Options extends CommonOptions {
  readonly fromBeginning: boolean;
  readonly limit?: number;
  readonly topic: string;
}

/** `thalamus events tail`: events of the mesh as they come, one a line. */
export function eventsCommand(): Command {
  const command = new Command('events').description('watch what happens in the mesh');
  command.addCommand(
    meshCommand('tail', 'print events as they come, one JSON object a line; Ctrl-C ends')
      .option('--topic <topic>', 'topic to follow', TOPICS.requestCompleted.name)
      .option('--from-beginning', 'also print what is stored', false)
      .option('--limit <count>', 'stop after so many', wholeNumber(1, 1_000_000))
      .action(tail),
  );
  return command;
}

async function tail(options: Options): Promise<void> {
  const topic = Object.values(TOPICS).find(({ name }) => name === options.topic);
  if (!topic) {
    const known = Object.values(TOPICS)
      .map(({ name }) => name)
      .join('\n  ');
    throw new TypeError(`No topic "${options.topic}" exists. Known:\n  ${known}`);
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
  const startedAt = Date.now();
  let printed = 0;
  const done = new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
    void bus.follow({
      topic: topic.name,
      onRecord: (record) => {
        if (!options.fromBeginning && record.timestampMs < startedAt) return;
        if (options.limit !== undefined && printed >= options.limit) return;
        printed += 1;
        process.stdout.write(`${JSON.stringify(line(record))}\n`);
        if (printed === options.limit) resolve();
      },
    });
  });
  await done;
  await bus.close();
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
