import { waitUntil } from '@thalamus/testing';
import { Kafka, logLevel } from 'kafkajs';
import { inject } from 'vitest';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Brokers of the real Kafka that this run is on; empty: it runs on the embedded log. */
    kafkaBrokers: string;
  }
}

const OURS = /^thalamus\./;

/** Brokers of this run, host:port separated by commas; undefined on the embedded log. */
export function kafkaBrokers(): string | undefined {
  return inject('kafkaBrokers') || undefined;
}

/** Deletes every topic and group of a mesh, so that the next one starts on an empty broker. */
export async function emptyBroker(brokers: string): Promise<void> {
  const kafka = new Kafka({
    brokers: brokers.split(','),
    clientId: 'thalamus-e2e',
    logLevel: logLevel.NOTHING,
  });
  const admin = kafka.admin();
  await admin.connect();
  try {
    const topics = (await admin.listTopics()).filter((name) => OURS.test(name));
    if (topics.length > 0) await admin.deleteTopics({ topics });
    const gone = async () => !(await admin.listTopics()).some((name) => OURS.test(name));
    await waitUntil('the topics of the former mesh are gone', gone, { timeoutMs: 60_000 });
    const { groups } = await admin.listGroups();
    const ours = groups.map(({ groupId }) => groupId).filter((id) => id.startsWith('thalamus-'));
    // A group whose members went away a moment ago is refused until its session has ended; it holds no offsets any more.
    if (ours.length > 0) await admin.deleteGroups(ours).catch(() => undefined);
  } finally {
    await admin.disconnect();
  }
}
