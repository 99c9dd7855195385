import type { Consumer, ConsumerConfig, ConsumerRunConfig, Kafka } from 'kafkajs';

/** How a consumer that lasts is made. */
export interface LastingConsumerOptions {
  readonly config: ConsumerConfig;
  readonly topics: readonly string[];
  readonly fromBeginning: boolean;
  readonly run: ConsumerRunConfig;
  /** Called with each consumer before it joins: the place to listen to its events. */
  readonly onMade?: (consumer: Consumer) => void;
  /** Told of each crash; the consumer comes back by itself. */
  readonly onCrash?: (fault: unknown) => void;
}

const RESTART_MS = 500;

/**
 * A consumer of kafkajs that comes back: kafkajs gives up for good on errors that it takes for lasting ones, and a service
 * would then run on without reading.
 */
export class LastingConsumer {
  private consumer: Consumer | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly kafka: Kafka,
    private readonly options: LastingConsumerOptions,
  ) {}

  /** The consumer of now. */
  get current(): Consumer | undefined {
    return this.consumer;
  }

  async start(): Promise<void> {
    const { config, topics, fromBeginning, run, onMade, onCrash } = this.options;
    const consumer = this.kafka.consumer(config);
    this.consumer = consumer;
    onMade?.(consumer);
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      onCrash?.(payload.error);
      if (!payload.restart) this.restartLater(consumer);
    });
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics], fromBeginning });
    await consumer.run(run);
  }

  /** Lets the running handlers end, leaves the group. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.consumer?.stop();
    await this.consumer?.disconnect();
  }

  private restartLater(broken: Consumer): void {
    if (this.stopped || this.consumer !== broken) return;
    this.timer = setTimeout(() => {
      void broken.disconnect().catch(() => undefined);
      this.start().catch((fault: unknown) => {
        this.options.onCrash?.(fault);
        if (this.consumer) this.restartLater(this.consumer);
      });
    }, RESTART_MS);
  }
}
