import 'reflect-metadata';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  float32Tensor,
  FolderArtifactStore,
  importBundle,
  writeRouterBundle,
  writeSafetensors,
  type BundleFiles,
  type Digest,
  type RouterManifest,
} from '@thalamus/bundle';
import { loadSettings } from '@thalamus/config';
import type { registryV1 } from '@thalamus/contracts';
import { routerV1, TOPICS } from '@thalamus/contracts';
import { EmbeddedEventBus, encodeEvent, topicSpec, type EventBus } from '@thalamus/events';
import { createClient, type GrpcServer, type RpcClient } from '@thalamus/grpc';
import { ComponentHost, COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import { createLogger, setLogLevel } from '@thalamus/telemetry';
import { PROMPT_FEATURES } from '@thalamus/routing';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppModule, GRPC_SERVER } from '../../src/app.module.js';
import { routerSettings } from '../../src/config.js';

type Value = NonNullable<MessageInitShape<typeof registryV1.ResourceSchema>['value']>;

/** Folder of the zoo of this repository: its encoder and its router model are the real ones. */
export const ZOO = fileURLToPath(new URL('../../../../zoo', import.meta.url));
export const TASK = 'text-classification';
const DIMENSION = 384;

/** A whole router on a free port, with a real bus and a real encoder. */
export class RouterUnderTest {
  private revision = 0n;
  private application!: INestApplicationContext;
  private components!: ComponentHost;
  private isRunning = false;
  client!: RpcClient<typeof routerV1.RouterService>;
  address = '';
  encoderDigest!: Digest;

  private constructor(
    readonly folder: string,
    readonly bus: EventBus,
    readonly store: FolderArtifactStore,
  ) {}

  /** A folder, a bus and a store with the encoder, and nothing running yet. */
  static async prepare(): Promise<RouterUnderTest> {
    setLogLevel('error');
    const folder = await mkdtemp(join(tmpdir(), 'thalamus-router-'));
    const bus = new EmbeddedEventBus({ file: join(folder, 'events.sqlite') });
    await bus.start();
    await bus.ensureTopics(Object.values(TOPICS).map(topicSpec));
    const made = new RouterUnderTest(folder, bus, new FolderArtifactStore(join(folder, 'artifacts')));
    made.encoderDigest = (await importBundle(join(ZOO, 'base', 'minilm-l6'), made.store)).digest;
    return made;
  }

  async start(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const settings = loadSettings(routerSettings, {
      THALAMUS_BUS: 'embedded',
      THALAMUS_BUS_FILE: join(this.folder, 'events.sqlite'),
      THALAMUS_DATA: join(this.folder, 'router'),
      THALAMUS_ARTIFACTS: 'folder',
      THALAMUS_ARTIFACTS_FOLDER: join(this.folder, 'artifacts'),
      THALAMUS_GRPC_PORT: '0',
      THALAMUS_OPS_PORT: '0',
      THALAMUS_ROUTER_MODEL_RETRY_MS: '100',
      ...environment,
    });
    this.application = await NestFactory.createApplicationContext(AppModule.register(settings), {
      logger: false,
      abortOnError: false,
    });
    const list = this.application.get<readonly ServiceComponent[]>(COMPONENTS);
    this.components = new ComponentHost(list, createLogger('test'));
    await this.components.start();
    this.isRunning = true;
    this.address = `127.0.0.1:${this.application.get<GrpcServer>(GRPC_SERVER).port}`;
    this.client = createClient(routerV1.RouterService, { address: this.address, defaultDeadlineMs: 15_000 });
  }

  readiness() {
    return this.components.readiness();
  }

  /** Another replica on the same bus and store; end it with `halt`. */
  async replica(environment: Readonly<Record<string, string>> = {}): Promise<RouterUnderTest> {
    const made = new RouterUnderTest(this.folder, this.bus, this.store);
    made.encoderDigest = this.encoderDigest;
    await made.start({ THALAMUS_DATA: join(this.folder, 'replica'), ...environment });
    return made;
  }

  /** Ends the router; what it wrote stays, and it may be started again. */
  async halt(): Promise<void> {
    if (!this.isRunning) return;
    this.isRunning = false;
    this.client.close();
    await this.components.stop(2_000, 0);
    await this.application.close();
  }

  async stop(): Promise<void> {
    await this.halt();
    await this.bus.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Publishes a resource as the updater does; returns its revision. */
  async register(key: string, value: Value): Promise<bigint> {
    this.revision += 1n;
    const message = { key, revision: this.revision, value };
    await this.bus.publish([encodeEvent(TOPICS.registryState, message, { source: '/test', key })]);
    return this.revision;
  }

  /** Registers an expert with one version. */
  async expert(
    name: string,
    version: MessageInitShape<typeof registryV1.ExpertVersionSchema> = {},
  ): Promise<bigint> {
    const facts = {
      licence: 'Apache-2.0',
      trust: 0.5,
      maxTokens: 256,
      parameterCount: 1_000n,
      flopsPerToken: 1e9,
    };
    await this.register(`version/${name}@1`, {
      case: 'version',
      value: { expert: name, version: '1', task: TASK, ...facts, ...version },
    });
    return this.register(`expert/${name}`, { case: 'expert', value: { name, task: TASK, stable: '1' } });
  }

  /** Says on the bus what a host says of a version. */
  async reside(expert: string, state: string): Promise<void> {
    const key = `host-1/${expert}@1`;
    const leaseExpiresAt = timestampFromMs(Date.now() + 3_600_000);
    const message = { hostId: 'host-1', address: '127.0.0.1:1', expert, version: '1', state, leaseExpiresAt };
    await this.bus.publish([encodeEvent(TOPICS.hostResidency, message, { source: '/test', key })]);
  }

  /** Registers a router model as the active one. */
  async activate(name: string, manifestDigest: Digest, active = true): Promise<bigint> {
    const { encoderDigest } = this;
    const facts = { task: TASK, manifestDigest, encoderDigest, active, lossUnit: 'nats' };
    return this.register(`router-model/${name}@1`, {
      case: 'routerModel',
      value: { name, version: '1', ...facts },
    });
  }

  /** Stores a router model that predicts the same losses for every prompt: its heads are zero but for the bias. */
  async storeConstantRouter(
    name: string,
    losses: Readonly<Record<string, number>>,
    changes: Partial<Omit<RouterManifest, 'files'>> = {},
    files: BundleFiles = {},
  ): Promise<Digest> {
    const experts = Object.keys(losses);
    const heads = writeSafetensors({
      'heads.weight': float32Tensor(
        [experts.length, DIMENSION],
        new Float32Array(experts.length * DIMENSION),
      ),
      'heads.bias': float32Tensor([experts.length], Float32Array.from(Object.values(losses))),
    });
    return this.storeRouter(
      { ...constantManifest(name, experts, this.encoderDigest), ...changes },
      { 'heads.safetensors': heads, ...files },
    );
  }

  /** The same with measured rows, on each of which every expert lost just what is predicted. */
  async storeRiskRouter(
    name: string,
    losses: Readonly<Record<string, number>>,
    rows: number,
  ): Promise<Digest> {
    const own = Object.values(losses);
    const values = Float32Array.from({ length: rows * own.length }, (_, at) => own[at % own.length] ?? 0);
    const tensor = float32Tensor([rows, own.length], values);
    const file = writeSafetensors({ 'risk.predicted': tensor, 'risk.measured': tensor });
    return this.storeConstantRouter(
      name,
      losses,
      { risk: { file: 'risk.safetensors', rows, bound: 2 } },
      { 'risk.safetensors': file },
    );
  }

  /**
   * Stores a router model that reads no graph: of a prompt with more digits than letters it expects that `a` loses least, of
   * any other that `b` does; or of the first and the second that are named.
   */
  async storeCountingRouter(name: string, experts: readonly string[] = ['a', 'b']): Promise<Digest> {
    return this.storeRouter(...(await this.countingRouter(name, experts)));
  }

  private async countingRouter(
    name: string,
    experts: readonly string[],
  ): Promise<[Omit<RouterManifest, 'files'>, BundleFiles]> {
    const width = PROMPT_FEATURES.length;
    const weights = new Float32Array(2 * width);
    weights[PROMPT_FEATURES.indexOf('digitShare')] = -1;
    weights[width + PROMPT_FEATURES.indexOf('digitShare')] = 1;
    const manifest = constantManifest(name, experts, this.encoderDigest);
    return [
      {
        ...manifest,
        encoder: {
          ...manifest.encoder,
          dimension: width,
          inputs: [{ kind: 'prompt', width, weight: 1 }],
          file: 'encoder.safetensors',
          tokenizer: 'tokenizer.json',
        },
      },
      {
        'heads.safetensors': writeSafetensors({
          'heads.weight': float32Tensor([2, width], weights),
          'heads.bias': float32Tensor([2], new Float32Array(2)),
        }),
        'encoder.safetensors': writeSafetensors({
          'prompt.mean': float32Tensor([width], new Float32Array(width).fill(0.5)),
          'prompt.deviation': float32Tensor([width], new Float32Array(width).fill(0.1)),
        }),
        'tokenizer.json': await readFile(join(ZOO, 'base', 'minilm-l6', 'tokenizer.json')),
      },
    ];
  }

  /**
   * Stores a router model with two stages: of a prompt with as many digits as other characters the first cannot tell who is better, and the
   * second says that `b` is; of any other the first decides as a counting router does. Losses of the second are 0.75 and 0.25.
   */
  async storeCascade(name: string, changes: { readonly encoder?: Digest; readonly width?: number } = {}) {
    const width = PROMPT_FEATURES.length;
    const sentence = changes.width ?? DIMENSION;
    const dimension = sentence + width;
    const [manifest, files] = await this.countingRouter(name, ['a', 'b']);
    const prompt = { kind: 'prompt' as const, width, weight: 1 };
    const scaled = (lower: number, upper: number, scales: number[]) =>
      manifest.candidates.map(({ expert }) => ({ expert, lower, upper, scales }));
    return this.storeRouter(
      {
        ...manifest,
        encoder: { ...manifest.encoder, digest: changes.encoder ?? this.encoderDigest },
        calibration: { coverage: 0.9, intervals: scaled(-0.25, 0.5, [1, 2]) },
        regionCount: 2,
        secondStage: {
          dimension,
          inputs: [{ kind: 'sentence', width: sentence, weight: 1 }, prompt],
          heads: { kind: 'linear', file: 'second-heads.safetensors' },
          threshold: 0.1,
          margin: 0.01,
          intervals: scaled(-0.1, 0.1, [1]),
        },
      },
      {
        ...files,
        'second-heads.safetensors': writeSafetensors({
          'heads.weight': float32Tensor([2, dimension], new Float32Array(2 * dimension)),
          'heads.bias': float32Tensor([2], Float32Array.of(0.75, 0.25)),
        }),
      },
    );
  }

  private async storeRouter(manifest: Omit<RouterManifest, 'files'>, files: BundleFiles): Promise<Digest> {
    const folder = join(this.folder, 'written', manifest.name);
    await writeRouterBundle(folder, manifest, files);
    return (await importBundle(folder, this.store)).digest;
  }
}

function constantManifest(
  name: string,
  experts: readonly string[],
  encoderDigest: Digest,
): Omit<RouterManifest, 'files'> {
  const scale = (unit: string, transform: 'linear' | 'log10', min: number, max: number) => ({
    unit,
    transform,
    min,
    max,
  });
  return {
    schemaVersion: 1,
    name,
    version: '1',
    task: TASK,
    lossUnit: 'nats',
    description: 'Predicts the same losses for every prompt.',
    encoder: { name: 'minilm-l6', digest: encoderDigest, maxTokens: 256, dimension: DIMENSION },
    candidates: experts.map((expert) => ({
      expert,
      version: '1',
      digest: encoderDigest,
      fittedOn: { lossTable: encoderDigest, rows: 1 },
    })),
    heads: { kind: 'linear', file: 'heads.safetensors' },
    costScales: {
      size: scale('flopsPerToken', 'log10', 1e6, 1e12),
      cost: scale('usdPerMillionTokens', 'linear', 0, 10),
    },
    verbalLevels: { low: 0.1, medium: 0.5, high: 2 },
    calibration: {
      coverage: 0.9,
      intervals: experts.map((expert) => ({ expert, lower: -0.25, upper: 0.5 })),
    },
    licence: 'Apache-2.0',
    trainingData: [],
    evaluation: [{ dataset: 'none', split: 'test', metric: 'top-1', value: 0.5, n: 2, date: '2026-01-01' }],
    releaseDate: '2026-01-01',
  };
}
