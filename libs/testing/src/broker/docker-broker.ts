import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { freePorts } from './free-ports.js';
import type { BrokerProcess } from './kafka-broker.js';
import { TEST_SETTINGS } from './server-properties.js';

const docker = async (...args: readonly string[]) =>
  (await promisify(execFile)('docker', [...args], { timeout: 60_000 })).stdout.trim();

/** Apache Kafka as a container that is reached through a port of the loopback interface. */
export class DockerBroker implements BrokerProcess {
  private running = false;
  private last = '';

  private constructor(
    readonly address: string,
    private readonly name: string,
  ) {}

  static async create(image: string): Promise<DockerBroker> {
    const [port] = await freePorts(1);
    const name = `thalamus-kafka-${randomUUID().slice(0, 8)}`;
    const settings = {
      'process.roles': 'broker,controller',
      'node.id': '1',
      'controller.quorum.voters': '1@localhost:9093',
      listeners: `PLAINTEXT://:${port},CONTROLLER://:9093`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      'controller.listener.names': 'CONTROLLER',
      ...TEST_SETTINGS,
    };
    const environment = Object.entries(settings).flatMap(([key, value]) => [
      '-e',
      `KAFKA_${key.replaceAll('.', '_').toUpperCase()}=${value}`,
    ]);
    await docker(
      'create',
      '--name',
      name,
      '--label',
      'thalamus-tests',
      '--stop-timeout',
      '20',
      '-p',
      `127.0.0.1:${port}:${port}`,
      ...environment,
      image,
    );
    return new DockerBroker(`127.0.0.1:${port}`, name);
  }

  async launch(): Promise<void> {
    await docker('start', this.name);
    this.running = true;
  }

  ended(): string | undefined {
    return this.running ? undefined : this.last;
  }

  async kill(): Promise<void> {
    this.running = false;
    await docker('kill', '--signal', 'KILL', this.name);
  }

  async stop(): Promise<void> {
    this.running = false;
    await docker('stop', this.name);
  }

  async dispose(): Promise<void> {
    this.running = false;
    await docker('rm', '--force', '--volumes', this.name);
  }
}
