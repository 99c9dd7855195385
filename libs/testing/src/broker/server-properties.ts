/** Where a test broker listens and keeps its data. */
export interface ServerPlaces {
  readonly port: number;
  readonly controllerPort: number;
  readonly data: string;
}

/** Settings of a test broker: one node, everything replicated once, groups that form at once, small internal topics. */
export const TEST_SETTINGS: Readonly<Record<string, string>> = {
  'auto.create.topics.enable': 'false',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'group.initial.rebalance.delay.ms': '0',
  'group.min.session.timeout.ms': '1000',
  'log.cleaner.backoff.ms': '500',
  'log.initial.task.delay.ms': '500',
  'controlled.shutdown.enable': 'false',
};

/** A server.properties for broker and controller in one process. */
export function serverProperties({ port, controllerPort, data }: ServerPlaces): string {
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': data,
    ...TEST_SETTINGS,
  };
  return `${Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`;
}

/** Errors only, to standard output, where they are kept for the message of a start that failed. */
export const LOG4J_PROPERTIES = `log4j.rootLogger=ERROR, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%p %m (%c)%n
`;
