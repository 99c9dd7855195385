import { NestFactory } from '@nestjs/core';
import { FolderArtifactStore, importBundle, type Digest, type ExpertManifest } from '@thalamus/bundle';
import { loadSettings } from '@thalamus/config';
import { inference, registryV1, TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { decodeEvent, EmbeddedEventBus, encodeEvent, topicSpec } from '@thalamus/events';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { ComponentHost, COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import { ResidencyView } from '@thalamus/registry';
import { createLogger, setLogLevel } from '@thalamus/telemetry';
import {
  linearGraph,
  slowGraph,
  waitUntil,
  writePicoBase,
  writePicoGraph,
  writePicoProbe,
} from '@thalamus/testing';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import { OipHttpServer } from '../src/adapters/http/oip-http-server.js';
import { AppModule } from '../src/app.module.js';
import { hostSettings } from '../src/config.js';

type Client = RpcClient<typeof inference.GRPCInferenceService>;
type Channel = 'stable' | 'candidate' | 'shadow';

const KINDS: Partial<Record<ExpertManifest['kind'], registryV1.ExpertKind>> = {
  full: registryV1.ExpertKind.FULL,
  lowrank: registryV1.ExpertKind.LOWRANK,
  probe: registryV1.ExpertKind.PROBE,
  twin: registryV1.ExpertKind.TWIN,
};

/** Labels and seeds of the probes that every host here has. */
export const PROBES = {
  animals: { labels: ['cat', 'dog', 'bird'], seed: 11 },
  weather: { labels: ['dry', 'wet'], seed: 12 },
  planets: { labels: ['mercury', 'venus', 'earth', 'mars', 'jupiter', 'saturn', 'uranus'], seed: 13 },
} as const;

/** A registry and a store of this test's own: what the updater would be. */
export class Registry {
  private revision = 0n;

  private constructor(
    readonly folder: string,
    readonly bus: EmbeddedEventBus,
    readonly store: FolderArtifactStore,
  ) {}

  static async open(): Promise<Registry> {
    const folder = await mkdtemp(join(tmpdir(), 'thalamus-host-'));
    const bus = new EmbeddedEventBus({ file: join(folder, 'events.sqlite') });
    await bus.start();
    await bus.ensureTopics(Object.values(TOPICS).map(topicSpec));
    return new Registry(folder, bus, new FolderArtifactStore(join(folder, 'artifacts')));
  }

  /** The pico base, three probes, a linear and a slow graph. */
  async addAll(): Promise<Digest> {
    const base = await writePicoBase(this.path('pico'), { name: 'pico' });
    await this.add('pico');
    for (const [name, { labels, seed }] of Object.entries(PROBES)) {
      await writePicoProbe(this.path(name), { name, seed }, labels, { name: 'pico', digest: base.digest });
      await this.add(name);
    }
    await writePicoGraph(this.path('linear'), { name: 'linear' }, linearGraph());
    await this.add('linear');
    await writePicoGraph(this.path('slow'), { name: 'slow' }, slowGraph());
    await this.add('slow');
    return base.digest;
  }

  /** Folder that a bundle is written to before it is added. */
  path(name: string): string {
    return join(this.folder, 'bundles', name);
  }

  /** Imports a bundle and registers it on a channel; `none` registers the version alone. */
  async add(
    name: string,
    channel: Channel | 'none' = 'stable',
    signatures: readonly { keyId: string; value: string }[] = [],
  ): Promise<Digest> {
    const { manifest, digest } = await importBundle(this.path(name), this.store);
    const { version } = manifest;
    const value = { ...registered(manifest as ExpertManifest, digest), signatures };
    await this.publish(`version/${manifest.name}@${version}`, { case: 'version', value });
    if (channel !== 'none') await this.setChannels(manifest.name, { [channel]: version });
    return digest;
  }

  /** Imports bundles and registers each as the stable version of its expert, all with one write to the log. */
  async addMany(names: readonly string[]): Promise<void> {
    const records = [];
    for (let at = 0; at < names.length; at += IMPORTED_AT_ONCE) {
      const some = names.slice(at, at + IMPORTED_AT_ONCE);
      const imported = await Promise.all(some.map((name) => importBundle(this.path(name), this.store)));
      for (const { manifest, digest } of imported) {
        const { name, version } = manifest;
        const value = registered(manifest as ExpertManifest, digest);
        records.push(this.record(`version/${name}@${version}`, { case: 'version', value }));
        records.push(this.record(`expert/${name}`, { case: 'expert', value: { name, stable: version } }));
      }
    }
    await this.bus.publish(records);
  }

  setChannels(name: string, channels: Partial<Record<Channel, string>>): Promise<unknown> {
    return this.publish(`expert/${name}`, { case: 'expert', value: { name, ...channels } });
  }

  async publish(key: string, value: NonNullable<Parameters<typeof resource>[1]>): Promise<void> {
    await this.bus.publish([this.record(key, value)]);
  }

  private record(key: string, value: NonNullable<Parameters<typeof resource>[1]>) {
    this.revision += 1n;
    return encodeEvent(TOPICS.registryState, resource(key, value, this.revision), { source: '/test', key });
  }

  /** Error code of the last residency record of a version; empty without one. */
  async residencyError(expert: string): Promise<string> {
    let code = '';
    const follower = await this.bus.follow({
      topic: TOPICS.hostResidency.name,
      onRecord: (record) => {
        const residency = decodeEvent(TOPICS.hostResidency, record);
        if (residency?.expert === expert) code = residency.errorCode;
      },
    });
    await follower.caughtUp;
    await follower.stop();
    return code;
  }

  async close(): Promise<void> {
    await this.bus.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A version as the registry has it. */
function registered({ name, version, kind, base, task, files }: ExpertManifest, digest: Digest) {
  return {
    expert: name,
    version,
    kind: KINDS[kind] ?? registryV1.ExpertKind.UNSPECIFIED,
    task,
    manifestDigest: digest,
    baseDigest: base?.digest ?? '',
    sizeBytes: BigInt(files.reduce((sum, file) => sum + file.bytes, 0)),
  };
}

/** Of many bundles. */
const IMPORTED_AT_ONCE = 16;

type ResourceValue =
  { case: 'version'; value: Record<string, unknown> } | { case: 'expert'; value: Record<string, unknown> };

function resource(key: string, value: ResourceValue, revision: bigint) {
  return { key, revision, value: value as never };
}

/** A whole expert host: its Nest application, gRPC server and inference process. */
export class Host {
  /** http://127.0.0.1:port */
  url = '';

  private constructor(
    readonly client: Client,
    readonly address: string,
    readonly residency: ResidencyView,
    /** Process id of the child that a model runs in, as it is now; 0 without one. */
    readonly childPid: (model: string) => number,
    readonly stop: (drainMs?: number) => Promise<void>,
  ) {}

  static async start(registry: Registry, environment: Record<string, string> = {}): Promise<Host> {
    setLogLevel('error');
    const settings = loadSettings(hostSettings, {
      THALAMUS_BUS: 'embedded',
      THALAMUS_BUS_FILE: join(registry.folder, 'events.sqlite'),
      THALAMUS_ARTIFACTS: 'folder',
      THALAMUS_ARTIFACTS_FOLDER: join(registry.folder, 'artifacts'),
      THALAMUS_DATA: join(registry.folder, 'data'),
      THALAMUS_INFERENCE_THREADS: '1',
      THALAMUS_INFERENCE_WEIGHTS: 'stored',
      THALAMUS_INFERENCE_CHILDREN: '1',
      THALAMUS_GRPC_PORT: '0',
      THALAMUS_HTTP_PORT: '0',
      THALAMUS_OPS_PORT: '0',
      // Limits of tests are in bytes of their small models; what processes have is counted in a test of its own.
      THALAMUS_MEMORY_COUNTS: 'weights',
      ...environment,
    });
    const before = new Set(childProcesses());
    const application = await NestFactory.createApplicationContext(AppModule.register(settings), {
      logger: false,
      abortOnError: false,
    });
    const list = application.get<readonly ServiceComponent[]>(COMPONENTS);
    const components = new ComponentHost(list, createLogger('test'));
    const residency = new ResidencyView(registry.bus);
    await residency.start();
    await components.start();
    const http = list.find((component) => component instanceof OipHttpServer);
    const address = await waitUntil('the host has said where it is', () => residency.hosts()[0]);
    const client = createClient(inference.GRPCInferenceService, { address, defaultDeadlineMs: 20_000 });
    const childPid = (model: string) =>
      childProcesses().find((pid) => !before.has(pid) && commandOf(pid).at(-1) === `${model}@1`) ?? 0;
    let stopped: Promise<void> | undefined;
    const stop = (drainMs = 5_000) =>
      (stopped ??= (async () => {
        await components.stop(drainMs, 0);
        client.close();
        await residency.close();
        await application.close();
      })());
    const made = new Host(client, address, residency, childPid, stop);
    made.url = `http://127.0.0.1:${http?.port ?? 0}`;
    return made;
  }

  /** Waits until the host says of a version that it is so. */
  async until(expert: string, version: string, state: string): Promise<void> {
    await waitUntil(`${expert}@${version} is ${state}`, () =>
      this.residency.all().some((it) => it.expert === expert && it.version === version && it.state === state),
    );
  }
}

function childProcesses(): number[] {
  return readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)
    .map(Number);
}

function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean);
  } catch {
    return [];
  }
}

const utf8 = new TextEncoder();

/** A BYTES input of shape [n] in typed contents. */
export const textInput = (...texts: readonly (string | Uint8Array)[]) => ({
  name: 'text',
  datatype: 'BYTES',
  shape: [BigInt(texts.length)],
  contents: { bytesContents: texts.map((text) => (typeof text === 'string' ? utf8.encode(text) : text)) },
});

/** BYTES elements in raw form: a length of four bytes before each. */
export function rawTexts(...texts: readonly string[]): Uint8Array {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = utf8.encode(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.byteLength);
      return [length, bytes];
    }),
  );
}

/** Asks an expert about texts. */
export const ask = (
  { client }: Host,
  expert: string,
  texts: readonly (string | Uint8Array)[],
  options: Parameters<Client['modelInfer']>[1] = {},
) => client.modelInfer({ modelName: expert, modelVersion: '1', inputs: [textInput(...texts)] }, options);

/** An output as numbers or texts. */
export function valuesOf(response: inference.ModelInferResponse, name: string): (number | string)[] {
  const index = response.outputs.findIndex((output) => output.name === name);
  const { datatype } = response.outputs[index]!;
  const raw = response.rawOutputContents[index]!;
  if (datatype === 'INT64') return Array.from(new BigInt64Array(new Uint8Array(raw).buffer), Number);
  if (datatype === 'FP32') return [...new Float32Array(new Uint8Array(raw).buffer)];
  const texts: string[] = [];
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  for (let at = 0; at < raw.byteLength;) {
    const length = view.getUint32(at, true);
    texts.push(new TextDecoder().decode(raw.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return texts;
}

/** Facts of a refusal as its caller sees it. */
export async function refusalOf(work: Promise<unknown>) {
  try {
    await work;
  } catch (error) {
    if (ThalamusError.is(error))
      return {
        code: error.code,
        grpc: error.spec.grpc,
        message: error.message,
        fields: error.violations.map(({ field }) => field),
      };
    throw error;
  }
  throw new Error('nothing was refused');
}
