import { waitUntil } from '@thalamus/testing';
import { Kafka, logLevel, type Admin } from 'kafkajs';
import { inject } from 'vitest';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Brokers of the real Kafka that this run is on; empty: it runs on the embedded log. */
    meshBrokers: string;
  }
}

const OURS = /^thalamus\./;

/** Brokers of this run, host:port separated by commas; undefined on the embedded log. */
export function kafkaBrokers(): string | undefined {
  return inject('meshBrokers') || undefined;
}

/** Whether a broker holds topics of a mesh. */
export function hasMesh(brokers: string): Promise<boolean> {
  return withAdmin(brokers, async (admin) => (await admin.listTopics()).some((name) => OURS.test(name)));
}

/** Deletes every topic and group of a mesh, so that the next one starts on an empty broker. */
export function emptyBroker(brokers: string): Promise<void> {
  return withAdmin(brokers, async (admin) => {
    const topics = (await admin.listTopics()).filter((name) => OURS.test(name));
    if (topics.length > 0) await admin.deleteTopics({ topics });
    const isGone = async () => !(await admin.listTopics()).some((name) => OURS.test(name));
    await waitUntil('the topics of the former mesh are gone', isGone, { timeoutMs: 60_000 });
    const { groups } = await admin.listGroups();
    const ours = groups.map(({ groupId }) => groupId).filter((id) => id.startsWith('thalamus-'));
    // A group whose members went away a moment ago is refused until its session has ended; it holds no offsets any more.
    if (ours.length > 0) await admin.deleteGroups(ours).catch(() => undefined);
  });
}

async function withAdmin<T>(brokers: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  const kafka = new Kafka({
    brokers: brokers.split(','),
    clientId: 'thalamus-e2e',
    logLevel: logLevel.NOTHING,
  });
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}
