import { digestOf, importBundle, type ArtifactStore, type Digest } from '@thalamus/bundle';
import { artifactV1, registryV1, routerV1, TOPICS, type eventsV1 } from '@thalamus/contracts';
import { decodeEvent, encodeEvent, KafkaEventBus } from '@thalamus/events';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { RemoteArtifactStore } from '@thalamus/registry';
import { freePorts } from '@thalamus/testing';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { emptyBroker } from '../support/bus.js';
import { expectNothingLeft } from '../support/mesh.js';
import { ROOT, temporaryFolder } from '../support/paths.js';
import type { RunningCommand } from '../support/run-command.js';
import { startService, untilReady } from '../support/service-mesh.js';
import { settingsFor, type Address, type Service } from '../support/service-settings.js';
import type { RecordedExpert } from './recorded-update.js';
import { storeRouterModel } from './router-model.js';

export const TASK = 'text-generation';

/** One router of the mesh. */
export interface Replica {
  readonly client: RpcClient<typeof routerV1.RouterService>;
  readonly process: RunningCommand;
  /** Text of its metrics. */
  metrics(): Promise<string>;
}

/** An updater and two routers on a real broker; the test speaks on the bus as a gateway does. */
export class RouterMesh {
  readonly corrections = new Map<string, eventsV1.RouteCorrection>();
  readonly alarms: eventsV1.DriftDetected[] = [];
  readonly replicas: Replica[] = [];
  private readonly processes: RunningCommand[] = [];
  private readonly folder = temporaryFolder('router');
  private readonly addresses = new Map<Service, Address>();
  private readonly bus: KafkaEventBus;
  private store!: ArtifactStore;
  private registry!: RpcClient<typeof registryV1.RegistryService>;
  private encoder!: Digest;
  private count = 0;

  constructor(private readonly brokers: string) {
    this.bus = new KafkaEventBus({
      brokers: brokers.split(','),
      clientId: 'thalamus-e2e-router',
      connectTimeoutMs: 30_000,
    });
  }

  async start(): Promise<void> {
    await emptyBroker(this.brokers);
    // The updater makes the topics that the others follow.
    await this.run('updater', this.folder);
    const address = `127.0.0.1:${this.addresses.get('updater')?.grpc ?? 0}`;
    const deadline = { address, defaultDeadlineMs: 30_000 };
    this.registry = createClient(registryV1.RegistryService, deadline);
    this.store = new RemoteArtifactStore(createClient(artifactV1.ArtifactService, deadline));
    this.encoder = (await importBundle(join(ROOT, 'zoo/base/minilm-l6'), this.store)).digest;
    for (const name of ['first', 'second']) await this.startRouter(name);
    await this.bus.start();
    await this.follow();
  }

  async stop(): Promise<void> {
    await this.bus.close();
    for (const { client } of this.replicas) client.close();
    this.registry.close();
    for (const { child, ended } of [...this.processes].reverse()) {
      child.kill('SIGTERM');
      await ended;
    }
    await expectNothingLeft(this.folder);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Registers a remote expert by the shipped manifest of one. */
  async expert(name: string): Promise<void> {
    const shipped = await readFile(join(ROOT, 'zoo/fleet/gpt-4-1106/expert.json'), 'utf8');
    const manifest = Buffer.from(shipped.replace('"name": "gpt-4-1106"', `"name": "${name}"`));
    const manifestDigest = digestOf(manifest);
    await this.store.put(manifest, { digest: manifestDigest });
    await this.registry.registerVersion({ version: { expert: name, version: '1', manifestDigest } });
  }

  /** Registers a router model that predicts the same losses for every prompt, and makes it the one that decides. */
  async activate(name: string, losses: Readonly<Record<string, number>>): Promise<void> {
    const facts = { losses, encoder: this.encoder };
    const manifestDigest = await storeRouterModel(join(this.folder, 'written'), this.store, name, facts);
    const reason = 'the suite changes router models under load';
    await this.registry.registerRouterModel({ routerModel: { manifestDigest }, activate: true, reason });
  }

  /** Says on the bus that the router chose an expert, that it answered, and how good each answer was. Not awaited one by one. */
  async outcomes(
    routerModel: string,
    { expert, predicted }: RecordedExpert,
    scores: readonly number[],
  ): Promise<void> {
    const completed = scores.map(() => {
      this.count += 1;
      const requestId = `recorded-${this.count}`;
      const candidates = [{ expert, predictedLoss: predicted, total: predicted }];
      const message = {
        requestId,
        tenant: 'default',
        task: TASK,
        operation: 'chat/completions',
        expert,
        version: '1',
        channel: 'stable',
        routed: true,
        routerModel: `${routerModel}@1`,
        predictedLoss: predicted,
        candidates,
        completedAt: { seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 },
      };
      return encodeEvent(TOPICS.requestCompleted, message, { source: '/test', key: requestId });
    });
    await this.bus.publish(completed);
    const feedback = completed.map(({ key }, at) =>
      encodeEvent(
        TOPICS.feedbackGiven,
        { requestId: key, tenant: 'default', score: scores[at] ?? 0 },
        { source: '/test', key },
      ),
    );
    await this.bus.publish(feedback);
  }

  /** Outcomes that the watch over an expert has seen. */
  seen(expert: string): number {
    return Number(this.corrections.get(`${expert}/drift`)?.drift?.outcomes ?? 0n);
  }

  private async startRouter(name: string): Promise<void> {
    const process = await this.run('router', join(this.folder, name));
    const address = this.addresses.get('router');
    const grpc = `127.0.0.1:${address?.grpc ?? 0}`;
    const ops = `http://127.0.0.1:${address?.ops ?? 0}`;
    this.replicas.push({
      client: createClient(routerV1.RouterService, { address: grpc, defaultDeadlineMs: 30_000 }),
      process,
      metrics: async () => (await fetch(`${ops}/metrics`)).text(),
    });
  }

  private async run(service: Service, folder: string): Promise<RunningCommand> {
    const [grpc = 0, ops = 0, http = 0] = await freePorts(3);
    this.addresses.set(service, { grpc, ops, http });
    const surroundings = { folder, brokers: this.brokers, addresses: this.addresses };
    const process = startService(service, await settingsFor(service, surroundings));
    this.processes.push(process);
    await untilReady(service, ops, process);
    return process;
  }

  private async follow(): Promise<void> {
    const corrections = await this.bus.follow({
      topic: TOPICS.routeCorrection.name,
      onRecord: (record) => {
        const correction = decodeEvent(TOPICS.routeCorrection, record);
        if (correction) this.corrections.set(record.key, correction);
        else this.corrections.delete(record.key);
      },
    });
    const alarms = await this.bus.follow({
      topic: TOPICS.driftDetected.name,
      onRecord: (record) => {
        const alarm = decodeEvent(TOPICS.driftDetected, record);
        if (alarm) this.alarms.push(alarm);
      },
    });
    await Promise.all([corrections.caughtUp, alarms.caughtUp]);
  }
}
