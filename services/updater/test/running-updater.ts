import { NestFactory } from '@nestjs/core';
import {
  importBundle,
  writeBundle,
  writeRouterBundle,
  type ExpertManifest,
  type RouterManifest,
} from '@thalamus/bundle';
import { loadSettings } from '@thalamus/config';
import { artifactV1, jobV1, registryV1, releaseV1, TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { decodeEvent, EmbeddedEventBus } from '@thalamus/events';
import { createClient } from '@thalamus/grpc';
import { COMPONENTS, ComponentHost, type ServiceComponent } from '@thalamus/lifecycle';
import { RemoteArtifactStore } from '@thalamus/registry';
import { createLogger } from '@thalamus/telemetry';
import { freePorts } from '@thalamus/testing';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppModule } from '../src/app.module.js';
import { updaterSettings } from '../src/config.js';

/** Clients of an updater. */
export function clientsOf(address: string) {
  const options = { address, defaultDeadlineMs: 15_000 };
  const artifactClient = createClient(artifactV1.ArtifactService, options);
  const registry = createClient(registryV1.RegistryService, options);
  const release = createClient(releaseV1.ReleaseService, options);
  const jobs = createClient(jobV1.JobService, options);
  const close = () => {
    for (const client of [artifactClient, registry, release, jobs]) client.close();
  };
  const artifacts = new RemoteArtifactStore(artifactClient);
  return { registry, release, jobs, artifactClient, artifacts, close };
}

/** A folder of its own, removed by `remove`. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'thalamus-updater-'));
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** A whole updater in this process: the Nest application, the embedded bus and real gRPC on loopback. */
export class RunningUpdater {
  private constructor(
    readonly address: string,
    readonly host: ComponentHost,
    readonly folder: string,
    private readonly end: () => Promise<void>,
    readonly clients: ReturnType<typeof clientsOf>,
  ) {}

  static async start(folder: string, settings: Record<string, string> = {}): Promise<RunningUpdater> {
    const [port = 0] = await freePorts(1);
    const values = loadSettings(updaterSettings, {
      THALAMUS_GRPC_PORT: String(port),
      THALAMUS_BUS: 'embedded',
      THALAMUS_BUS_FILE: join(folder, 'events.sqlite'),
      THALAMUS_ARTIFACTS_FOLDER: join(folder, 'artifacts'),
      THALAMUS_LOG_LEVEL: 'error',
      ...settings,
    });
    const application = await NestFactory.createApplicationContext(AppModule.register(values), {
      logger: false,
      abortOnError: false,
    });
    const components = application.get<readonly ServiceComponent[]>(COMPONENTS);
    const host = new ComponentHost(components, createLogger('updater'));
    await host.start();
    const clients = clientsOf(`127.0.0.1:${port}`);
    const end = async () => {
      clients.close();
      await host.stop(5_000, 0);
      await application.close();
    };
    return new RunningUpdater(`127.0.0.1:${port}`, host, folder, end, clients);
  }

  stop(): Promise<void> {
    return this.end();
  }

  /** Writes a bundle and puts its files into the artifact store; resolves with the digest of its manifest. */
  async store(change: Partial<ExpertManifest> = {}, content = 'weights'): Promise<string> {
    const made = temporaryFolder();
    try {
      const manifest = bundleManifest(change);
      const file = manifest.kind === 'full' ? 'model.onnx' : 'head.safetensors';
      const path = join(made.path, 'bundle');
      await writeBundle(path, manifest, {
        [file]: Buffer.from(content),
        'tokenizer.json': Buffer.from('{}'),
      });
      return (await importBundle(path, this.clients.artifacts)).digest;
    } finally {
      made.remove();
    }
  }

  /** Writes the bundle of a router model with one candidate, `probe`, and stores it; resolves with the digest of its manifest. */
  async storeRouterModel(name: string, encoder: string): Promise<string> {
    const made = temporaryFolder();
    try {
      const digest = encoder as `sha256:${string}`;
      const manifest: Omit<RouterManifest, 'files'> = {
        schemaVersion: 1,
        name,
        version: '1',
        task: 'text-classification',
        lossUnit: 'error',
        description: 'Chooses for tests.',
        encoder: { name: 'pico', digest, maxTokens: 16, dimension: 2 },
        candidates: [{ expert: 'probe', version: '1', digest, fittedOn: { lossTable: digest, rows: 1 } }],
        heads: { kind: 'linear', file: 'heads.safetensors' },
        costScales: {},
        verbalLevels: { low: 0.1, medium: 0.5, high: 2 },
        calibration: { coverage: 0.9, intervals: [{ expert: 'probe', lower: -0.25, upper: 0.5 }] },
        licence: 'Apache-2.0',
        trainingData: [],
        evaluation: [
          { dataset: 'none', split: 'test', metric: 'top-1', value: 0.5, n: 2, date: '2026-01-01' },
        ],
        releaseDate: '2026-01-31',
      };
      const path = join(made.path, 'bundle');
      await writeRouterBundle(path, manifest, { 'heads.safetensors': Buffer.from('heads') });
      return (await importBundle(path, this.clients.artifacts)).digest;
    } finally {
      made.remove();
    }
  }

  /** Every audit event so far. */
  async audit(): Promise<
    { action: string; subject: string; actor: string; reason: string; revision: bigint }[]
  > {
    const bus = new EmbeddedEventBus({ file: join(this.folder, 'events.sqlite') });
    await bus.start();
    const found: { action: string; subject: string; actor: string; reason: string; revision: bigint }[] = [];
    const follower = await bus.follow({
      topic: TOPICS.auditRecorded.name,
      onRecord: (record) => {
        const event = decodeEvent(TOPICS.auditRecorded, record);
        if (event) found.push(event);
      },
    });
    await follower.caughtUp;
    await bus.close();
    return found;
  }
}

/** A sound manifest of a base, without its list of files. */
export function bundleManifest(change: Partial<ExpertManifest> = {}): Omit<ExpertManifest, 'files'> {
  return {
    schemaVersion: 1,
    name: 'pico',
    version: '1',
    kind: 'full',
    task: 'feature-extraction',
    description: 'A base for tests.',
    inputs: [{ name: 'input_ids', dataType: 'int64', shape: ['batch', 'sequence'] }],
    maxTokens: 16,
    parameterCount: 10,
    flopsPerToken: 20,
    precision: 'float32',
    licence: 'Apache-2.0',
    trainingData: [{ name: 'made-up', licence: 'CC0-1.0', origin: 'this test', rows: 4 }],
    evaluation: [],
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: '2026-01-31',
    ...change,
  };
}

/** The code of the ThalamusError that a call ends with. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  return (await errorOf(call)).code;
}

/** The ThalamusError that a call ends with. */
export async function errorOf(call: Promise<unknown>): Promise<ThalamusError> {
  try {
    await call;
  } catch (fault) {
    if (ThalamusError.is(fault)) return fault;
    throw fault;
  }
  throw new Error('the call succeeded');
}
