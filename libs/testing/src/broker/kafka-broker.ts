import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Kafka, logLevel } from 'kafkajs';
import { waitUntil } from '../wait-until.js';
import { DockerBroker } from './docker-broker.js';
import { JavaBroker } from './java-broker.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const START_MS = 120_000;

/** A single Kafka node on loopback with data of its own. */
export interface KafkaBroker {
  /** host:port to connect to. */
  readonly address: string;
  /** Starts the node, again with the same data and address after `kill` or `stop`. Returns when it answers. */
  start(): Promise<void>;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
  /** Ends it in order. */
  stop(): Promise<void>;
  /** Ends it and removes its data. */
  dispose(): Promise<void>;
}

/** What a broker process must offer for `kafkaBroker` to make a {@link KafkaBroker} of it. */
export interface BrokerProcess {
  readonly address: string;
  launch(): Promise<void>;
  /** What the process said last, for messages. Undefined while it runs. */
  ended(): string | undefined;
  kill(): Promise<void>;
  stop(): Promise<void>;
  dispose(): Promise<void>;
}

type Provision =
  | { readonly kind: 'external'; readonly brokers: readonly string[] }
  | { readonly kind: 'docker'; readonly image: string }
  | { readonly kind: 'java'; readonly jars: string };

/** How tests of this machine get Kafka; gets what is missing. @throws Error with the one command that cures it. */
export function provisionKafka(environment: NodeJS.ProcessEnv = process.env): Provision {
  const answer = execFileSync(process.execPath, [`${ROOT}/tools/provision.mjs`, 'kafka'], {
    encoding: 'utf8',
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(answer.trim().split('\n').at(-1) as string) as Provision;
}

/**
 * A broker that belongs to the caller, whatever KAFKA_BROKERS says: for tests that kill it. The process ends with the one
 * that made it, also when that is killed.
 */
export async function kafkaBroker(): Promise<KafkaBroker> {
  const environment = { ...process.env };
  delete environment['KAFKA_BROKERS'];
  const provision = provisionKafka(environment);
  if (provision.kind === 'external') throw new Error('A broker of others cannot be killed.');
  const node =
    provision.kind === 'docker'
      ? await DockerBroker.create(provision.image)
      : await JavaBroker.create(provision.jars);
  return {
    address: node.address,
    start: async () => {
      await node.launch();
      await untilItAnswers(node);
    },
    kill: () => node.kill(),
    stop: () => node.stop(),
    dispose: () => node.dispose(),
  };
}

/** Brokers for tests that only use Kafka: those of KAFKA_BROKERS, else one that is started now. */
export async function sharedKafka(): Promise<{
  readonly brokers: readonly string[];
  readonly dispose: () => Promise<void>;
}> {
  const provision = provisionKafka();
  if (provision.kind === 'external') return { brokers: provision.brokers, dispose: () => Promise.resolve() };
  const broker = await kafkaBroker();
  try {
    await broker.start();
  } catch (fault) {
    await broker.dispose();
    throw fault;
  }
  return { brokers: [broker.address], dispose: () => broker.dispose() };
}

async function untilItAnswers(node: BrokerProcess): Promise<void> {
  const kafka = new Kafka({
    clientId: 'thalamus-tests',
    brokers: [node.address],
    connectionTimeout: 2_000,
    requestTimeout: 5_000,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
  });
  await waitUntil(
    `the Kafka broker at ${node.address} answers`,
    async () => {
      const end = node.ended();
      if (end !== undefined) throw new BrokerEnded(end);
      const admin = kafka.admin();
      try {
        await admin.connect();
        return (await admin.describeCluster()).brokers.length > 0;
      } finally {
        await admin.disconnect();
      }
    },
    { timeoutMs: START_MS, everyMs: 250, unless: (fault) => fault instanceof BrokerEnded },
  );
}

class BrokerEnded extends Error {
  constructor(output: string) {
    super(`The Kafka broker ended by itself. It said last:\n${output}`);
  }
}
