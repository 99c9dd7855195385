import 'reflect-metadata';
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { INestApplicationContext } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { loadSettings } from '@thalamus/config';
import { type eventsV1, gatewayV1, inference, registryV1, TOPICS } from '@thalamus/contracts';
import {
  decodeEvent,
  EmbeddedEventBus,
  encodeEvent,
  topicSpec,
  type EventBus,
  type Follower,
} from '@thalamus/events';
import { createClient, type GrpcServer } from '@thalamus/grpc';
import { ComponentHost, COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import type { RegistryView, ResidencyView, Resident } from '@thalamus/registry';
import { mintApiKey } from '@thalamus/security';
import { createLogger, setLogLevel } from '@thalamus/telemetry';
import { waitUntil } from '@thalamus/testing';
import type { FastifyInstance } from 'fastify';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppModule, GRPC_SERVER, HTTP_PARTS, type HttpParts } from '../../src/app.module.js';
import { gatewaySettings } from '../../src/config.js';
import { httpApplication } from '../../src/http-application.js';
import { FakeComposer, FakeHost, FakeRouter, serve } from './fake-services.js';
import { UpdaterProcess } from './updater-process.js';

type Value = NonNullable<MessageInitShape<typeof registryV1.ResourceSchema>['value']>;
type Completed = eventsV1.RequestCompleted;

/** Keys of the tenants of the tests. */
export const KEYS = {
  acme: mintApiKey(),
  globex: mintApiKey(),
  slow: mintApiKey(),
  strict: mintApiKey(),
  revoked: mintApiKey(),
};

/** Keys of the tenant `default`, which runs the mesh, by role; and an operator and an administrator of acme. */
export const ROLE_KEYS = {
  viewer: { minted: mintApiKey(), tenant: 'default', role: registryV1.Role.VIEWER },
  operator: { minted: mintApiKey(), tenant: 'default', role: registryV1.Role.OPERATOR },
  admin: { minted: mintApiKey(), tenant: 'default', role: registryV1.Role.ADMIN },
  acmeOperator: { minted: mintApiKey(), tenant: 'acme', role: registryV1.Role.OPERATOR },
  acmeAdmin: { minted: mintApiKey(), tenant: 'acme', role: registryV1.Role.ADMIN },
} as const;

/** What a chat model of the tests is. */
export interface ChatModel {
  readonly name: string;
  readonly baseUrl: string;
  readonly keyReference?: string;
  readonly price?: { readonly input: number; readonly output: number };
}

/** A release as the updater tells of it. */
export type Released = Partial<
  Pick<
    registryV1.ReleaseSummary,
    'expert' | 'fromVersion' | 'toVersion' | 'state' | 'weight' | 'mirrorShare' | 'mirrorPerSecond'
  >
> & { readonly leaseMs?: number };

/** Where a version is, in which state, and for how long. */
export interface Residence {
  readonly hostId: string;
  /** host:port */
  readonly address: string;
  readonly leaseMs: number;
  readonly state: string;
  /** The rest of its record. */
  readonly more: MessageInitShape<typeof eventsV1.HostResidencySchema>;
}

/** A whole gateway on free ports, with fakes behind it and a real bus beside it. */
export class GatewayUnderTest {
  readonly router = new FakeRouter();
  readonly host = new FakeHost();
  readonly composer = new FakeComposer();
  readonly completed: Completed[] = [];
  readonly compared: eventsV1.ShadowCompared[] = [];
  private revision = 0n;
  private readonly followers: Follower[] = [];

  private constructor(
    readonly folder: string,
    private readonly bus: EventBus,
  ) {}

  private updater: UpdaterProcess | undefined;
  private fakes!: GrpcServer;
  private application!: INestApplicationContext;
  private components!: ComponentHost;
  /** http://127.0.0.1:port */
  url = '';
  /** Address of the gRPC server. */
  address = '';

  /** With `updater`, a real updater runs beside it, on the same bus. */
  static async start(
    environment: Readonly<Record<string, string>> = {},
    parts: { readonly updater?: boolean } = {},
  ): Promise<GatewayUnderTest> {
    setLogLevel('error');
    const folder = await mkdtemp(join(tmpdir(), 'thalamus-gateway-'));
    const bus = new EmbeddedEventBus({ file: join(folder, 'events.sqlite') });
    await bus.start();
    await bus.ensureTopics(Object.values(TOPICS).map(topicSpec));
    const made = new GatewayUnderTest(folder, bus);
    made.fakes = await serve(made.router, made.host, made.composer);
    await made.fillRegistry();
    if (parts.updater) made.updater = await UpdaterProcess.start(folder);
    const settings = loadSettings(gatewaySettings, {
      THALAMUS_BUS: 'embedded',
      THALAMUS_BUS_FILE: join(folder, 'events.sqlite'),
      THALAMUS_DATA: join(folder, 'gateway'),
      THALAMUS_GRPC_PORT: '0',
      THALAMUS_HTTP_PORT: '0',
      THALAMUS_OPS_PORT: '0',
      THALAMUS_ROUTER_ADDRESS: `127.0.0.1:${made.fakes.port}`,
      THALAMUS_COMPOSER_ADDRESS: `127.0.0.1:${made.fakes.port}`,
      THALAMUS_MAX_BODY_BYTES: '600000',
      THALAMUS_UPSTREAM_ALLOW: '127.0.0.1',
      ...(made.updater ? { THALAMUS_UPDATER_ADDRESS: made.updater.address } : {}),
      ...environment,
    });
    made.application = await httpApplication(AppModule.register(settings), settings);
    const list = made.application.get<readonly ServiceComponent[]>(COMPONENTS);
    made.components = new ComponentHost(list, createLogger('test'));
    await made.components.start();
    made.url = `http://127.0.0.1:${made.application.get<HttpParts>(HTTP_PARTS).server.port}`;
    made.address = `127.0.0.1:${made.application.get<GrpcServer>(GRPC_SERVER).port}`;
    await made.follow(TOPICS.requestCompleted, made.completed);
    await made.follow(TOPICS.shadowCompared, made.compared);
    return made;
  }

  /** Says that a release is as told, with a lease of an hour unless told otherwise; resolves once the gateway knows. */
  async release(id: string, { leaseMs = 3_600_000, ...summary }: Released): Promise<void> {
    const leaseExpiresAt = timestampFromMs(Date.now() + leaseMs);
    await this.register(`release/${id}`, { case: 'release', value: { ...summary, id, leaseExpiresAt } });
    await this.settled();
  }

  /** Hosts of a version, as the gateway knows them. */
  residents(expert: string, version: string): Resident[] {
    return (this.component('residency view') as unknown as ResidencyView).hostsFor(expert, version);
  }

  /** Resolves once the gateway knows all that was registered. */
  async settled(): Promise<void> {
    const view = this.component('registry view') as unknown as RegistryView;
    await view.waitForRevision(this.revision, AbortSignal.timeout(10_000));
  }

  async stop(): Promise<void> {
    await this.components.stop(2_000, 0);
    await this.application.close();
    await this.updater?.stop();
    for (const follower of this.followers) await follower.stop();
    await this.bus.close();
    await this.fakes.drain(100);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Registers a remote chat model, and resolves once the gateway knows it. */
  async addChatModel({ name, baseUrl, keyReference = '', price }: ChatModel): Promise<void> {
    const task = 'text-generation';
    const version = {
      expert: name,
      version: '1',
      task,
      kind: registryV1.ExpertKind.UPSTREAM,
      licence: 'LicenseRef-proprietary',
      priceInputUsdPerMtok: price?.input ?? 0,
      priceOutputUsdPerMtok: price?.output ?? 0,
      upstream: { baseUrl, model: `${name}-there`, keyReference },
    };
    await this.register(`version/${name}@1`, { case: 'version', value: version });
    await this.register(`expert/${name}`, { case: 'expert', value: { name, task, stable: '1' } });
    await waitUntil(`the gateway knows ${name}`, async () => (await this.fetch(`/v1/models/${name}`)).ok);
  }

  /** host:port of the fake host. */
  get hostAddress(): string {
    return `127.0.0.1:${this.fakes.port}`;
  }

  /** The component of a name, to break it. */
  component(name: string): ServiceComponent {
    const found = this.application
      .get<readonly ServiceComponent[]>(COMPONENTS)
      .find((component) => component.name === name);
    if (!found) throw new Error(`no component ${name}`);
    return found;
  }

  /** The HTTP server inside. */
  server(): FastifyInstance {
    return (this.application as NestFastifyApplication).getHttpAdapter().getInstance();
  }

  /** Sends a request with the key of acme unless told otherwise. */
  fetch(path: string, init: RequestInit & { readonly key?: string | null } = {}): Promise<Response> {
    const { key = KEYS.acme.key, headers, ...rest } = init;
    const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
    return fetch(`${this.url}${path}`, { ...rest, headers: { ...authorization, ...(headers as object) } });
  }

  /** Sends JSON with the key of a role, by whatever method; answers status and body. */
  async admin(
    method: string,
    path: string,
    body?: unknown,
    role: keyof typeof ROLE_KEYS | { readonly key: string } = 'admin',
  ): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
    const key = typeof role === 'string' ? ROLE_KEYS[role].minted.key : role.key;
    const response =
      body === undefined
        ? await this.fetch(path, { method, key })
        : await this.post(path, body, { method, key });
    const json = (await response.json()) as Record<string, unknown>;
    return { status: response.status, body: json, headers: response.headers };
  }

  /** Posts JSON. */
  post(path: string, body: unknown, init: Parameters<GatewayUnderTest['fetch']>[1] = {}): Promise<Response> {
    const headers = { 'content-type': 'application/json', ...(init.headers as object) };
    return this.fetch(path, { method: 'POST', ...init, body: JSON.stringify(body), headers });
  }

  /** Address of the real updater beside it. */
  get updaterAddress(): string {
    return this.updater!.address;
  }

  gateway() {
    return createClient(gatewayV1.GatewayService, { address: this.address, defaultDeadlineMs: 10_000 });
  }

  oip() {
    return createClient(inference.GRPCInferenceService, { address: this.address, defaultDeadlineMs: 10_000 });
  }

  /** Publishes a resource as the updater does, changed long ago unless told otherwise. */
  async register(key: string, value: Value, updatedAtMs = 0): Promise<void> {
    this.revision += 1n;
    const message = { key, revision: this.revision, value, updatedAt: timestampFromMs(updatedAtMs) };
    await this.bus.publish([encodeEvent(TOPICS.registryState, message, { source: '/test', key })]);
  }

  /** Says that the fake host has a version, there or at another address; with a lease that has lapsed: that it is gone. */
  async reside(expert: string, version: string, other: Partial<Residence> = {}): Promise<void> {
    const { hostId, address, leaseMs, state, more } = {
      hostId: 'host-1',
      address: this.hostAddress,
      leaseMs: 3_600_000,
      state: 'ready',
      more: {},
      ...other,
    };
    const key = `${hostId}/${expert}@${version}`;
    const leaseExpiresAt = timestampFromMs(Date.now() + leaseMs);
    const message = { ...more, hostId, address, expert, version, state, leaseExpiresAt };
    await this.bus.publish([encodeEvent(TOPICS.hostResidency, message, { source: '/test', key })]);
  }

  /** Says what a host has in memory. */
  async keep(
    memory: MessageInitShape<typeof eventsV1.HostMemorySchema>,
    { hostId = 'host-1', address = this.hostAddress, leaseMs = 3_600_000 }: Partial<Residence> = {},
  ): Promise<void> {
    const leaseExpiresAt = timestampFromMs(Date.now() + leaseMs);
    const message = { hostId, address, leaseExpiresAt, memory };
    await this.bus.publish([encodeEvent(TOPICS.hostResidency, message, { source: '/test', key: hostId })]);
  }

  private async follow<S extends DescMessage>(
    topic: Parameters<typeof decodeEvent<S>>[0],
    into: MessageShape<S>[],
  ): Promise<void> {
    const follower = await this.bus.follow({
      topic: topic.name,
      onRecord: (record) => {
        const event = decodeEvent(topic, record);
        if (event) into.push(event);
      },
    });
    this.followers.push(follower);
  }

  private async fillRegistry(): Promise<void> {
    const task = 'text-classification';
    const experts = [
      { name: 'banking', task, stable: '2', tenants: [] },
      { name: 'clinic', task, stable: '1', tenants: [] },
      { name: 'cold', task, stable: '1', tenants: [] },
      { name: 'private', task, stable: '1', tenants: ['globex'] },
      { name: 'base', task: 'feature-extraction', stable: '1', tenants: [] },
    ];
    for (const value of experts) {
      await this.register(`expert/${value.name}`, { case: 'expert', value });
      for (const version of value.stable === '2' ? ['1', '2'] : ['1']) {
        const record = {
          expert: value.name,
          version,
          task: value.task,
          licence: 'Apache-2.0',
          labelCount: 2,
        };
        await this.register(`version/${value.name}@${version}`, { case: 'version', value: record });
        if (value.name !== 'cold') await this.reside(value.name, version);
      }
    }
    for (const [tenant, { id, secretSha256 }] of Object.entries(KEYS)) {
      const revokedAt = tenant === 'revoked' ? { revokedAt: timestampFromMs(Date.now()) } : {};
      const value = { id, tenant, secretSha256, role: registryV1.Role.VIEWER, ...revokedAt };
      await this.register(`key/${id}`, { case: 'apiKey', value });
    }
    for (const { minted, tenant, role } of Object.values(ROLE_KEYS)) {
      const { id, secretSha256 } = minted;
      await this.register(`key/${id}`, { case: 'apiKey', value: { id, tenant, secretSha256, role } });
    }
    await this.register('policy/strict', {
      case: 'policy',
      value: { tenant: 'strict', allowedExperts: ['banking'] },
    });
    await this.register('policy/slow', {
      case: 'policy',
      value: { tenant: 'slow', requestsPerSecond: 0.001, allowedExperts: ['banking'] },
    });
  }
}
