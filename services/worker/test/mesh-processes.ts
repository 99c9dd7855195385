import type { JsonObject } from '@bufbuild/protobuf';
import { FolderArtifactStore, importBundle } from '@thalamus/bundle';
import { artifactV1, composerV1, jobV1, registryV1, releaseV1 } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { RemoteArtifactStore } from '@thalamus/registry';
import { writePicoBase } from '@thalamus/testing';
import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** What starts telemetry before a service, as everywhere. */
const telemetry = new URL('../../../libs/telemetry/dist/register.js', import.meta.url).href;

/** A service of its own process, as it is built. */
export interface ServiceProcess {
  readonly pid: number;
  /** Resolves with exit code or signal. */
  readonly exited: Promise<number | string>;
  signal(name: NodeJS.Signals): void;
}

/** A real updater with its clients, and workers on demand. */
export class MeshProcesses {
  readonly folder = mkdtempSync(join(tmpdir(), 'thalamus-worker-'));
  private readonly children = new Set<ChildProcess>();
  private address = '';
  private port = 0;
  private updater!: ServiceProcess;
  private workers = 0;
  jobs!: ReturnType<typeof jobClient>;
  registry!: ReturnType<typeof registryClient>;
  releases!: ReturnType<typeof releaseClient>;
  artifacts!: RemoteArtifactStore;
  private artifactClient!: ReturnType<typeof artifactClient>;

  async start(): Promise<void> {
    this.port = await freePort();
    this.address = `127.0.0.1:${this.port}`;
    this.updater = await this.startUpdater();
    this.jobs = jobClient(this.address);
    this.registry = registryClient(this.address);
    this.releases = releaseClient(this.address);
    this.artifactClient = artifactClient(this.address);
    this.artifacts = new RemoteArtifactStore(this.artifactClient);
  }

  /** Kills the updater and starts another on the same address and log. */
  async replaceUpdater(): Promise<void> {
    this.updater.signal('SIGKILL');
    await this.updater.exited;
    this.updater = await this.startUpdater();
  }

  /** Registers the shipped base. */
  async registerBase(): Promise<void> {
    await this.registerBundle(join(root, 'zoo/base/minilm-l6'));
  }

  /** Registers an expert of the zoo. */
  async registerExpert(name: string): Promise<void> {
    await this.registerBundle(join(root, 'zoo/experts', name));
  }

  /** Starts a composer. */
  async composer(): Promise<{
    compose(name: string, parents: readonly string[]): Promise<void>;
    stop(): Promise<void>;
  }> {
    const port = await freePort();
    const composer = await this.run('composer', {
      THALAMUS_GRPC_PORT: String(port),
      THALAMUS_UPDATER_ADDRESS: this.address,
      THALAMUS_ARTIFACTS: 'updater',
    });
    const client = createClient(composerV1.ComposerService, {
      address: `127.0.0.1:${port}`,
      defaultDeadlineMs: 120_000,
    });
    return {
      compose: async (name, parents) => {
        const recipe = { name, method: 'switch', parents: parents.map((expert) => ({ expert })) };
        for await (const { event } of client.compose({ recipe })) if (event.case === 'composition') return;
        throw new Error('the composer ended without a composition');
      },
      stop: async () => {
        client.close();
        composer.signal('SIGKILL');
        await composer.exited;
      },
    };
  }

  /** Stores and registers a data set; resolves with name@version. */
  async registerData(name: string, csv: string | Uint8Array, split = 'train'): Promise<string> {
    const { digest } = await this.artifacts.put(Buffer.from(csv));
    const dataset = { name, version: '1', digest, licence: 'CC0-1.0', origin: 'test', split };
    await this.registry.registerDataset({ dataset });
    return `${name}@1`;
  }

  /** Starts a worker with a data folder of its own; its leases are short unless asked otherwise. */
  worker(leaseMs = 2_000, more: Record<string, string> = {}): Promise<ServiceProcess> {
    this.workers += 1;
    return this.run('worker', {
      THALAMUS_UPDATER_ADDRESS: this.address,
      THALAMUS_ARTIFACTS: 'updater',
      THALAMUS_DATA: this.workerFolder(this.workers),
      THALAMUS_JOB_LEASE_MS: String(leaseMs),
      ...more,
    });
  }

  /** Data folder of the worker that is, or will be, the nth to start; from one. Default: the next. */
  workerFolder(nth = this.workers + 1): string {
    return join(this.folder, `worker-${nth}`);
  }

  async submit(kind: string, parameters: JsonObject, maxAttempts = 3): Promise<string> {
    const { job } = await this.jobs.submit({ kind, parameters, maxAttempts });
    if (!job) throw new Error('no job was stored');
    return job.id;
  }

  /** The job once `isThere` holds for it. */
  async until(id: string, isThere: (job: jobV1.Job) => boolean): Promise<jobV1.Job> {
    for await (const { job } of this.jobs.watch({ id }, { deadlineMs: 230_000 })) {
      if (job && isThere(job)) return job;
      if (job && isEnd(job))
        throw new Error(`job ended as ${jobV1.JobState[job.state]}: ${job.errorMessage}`);
    }
    throw new Error('the watch ended');
  }

  end(id: string): Promise<jobV1.Job> {
    return this.until(id, isEnd);
  }

  async versionsOf(expert: string): Promise<registryV1.ExpertVersion[]> {
    const { resources } = await this.registry.listResources({ kind: 'version', namePrefix: `${expert}@` });
    return resources.flatMap(({ value }) => (value.case === 'version' ? [value.value] : []));
  }

  async stop(): Promise<void> {
    for (const client of [this.jobs, this.registry, this.releases, this.artifactClient]) client.close();
    await Promise.all(
      [...this.children].map(async (child) => {
        child.kill('SIGKILL');
        if (child.exitCode === null && child.signalCode === null)
          await new Promise((resolve) => child.once('exit', resolve));
      }),
    );
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Registers a tiny encoder of random weights, on which training takes seconds. */
  async registerPicoBase(name: string): Promise<void> {
    const folder = join(this.folder, name);
    await writePicoBase(folder, { name });
    await this.registerBundle(folder);
  }

  /** Stores and registers the bundle of a folder. */
  async registerBundle(folder: string): Promise<void> {
    const store = new FolderArtifactStore(join(this.folder, 'artifacts'));
    const { digest } = await importBundle(folder, store);
    await this.registry.registerVersion({ version: { manifestDigest: digest } });
  }

  private startUpdater(): Promise<ServiceProcess> {
    return this.run('updater', {
      THALAMUS_GRPC_PORT: String(this.port),
      THALAMUS_BUS: 'embedded',
      THALAMUS_BUS_FILE: join(this.folder, 'events.sqlite'),
      THALAMUS_ARTIFACTS_FOLDER: join(this.folder, 'artifacts'),
    });
  }

  private async run(service: string, settings: Record<string, string>): Promise<ServiceProcess> {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('THALAMUS_'));
    const child = fork(join(root, 'services', service, 'dist/main.js'), [], {
      env: {
        ...Object.fromEntries(inherited),
        THALAMUS_OPS_PORT: '0',
        ...(service === 'updater' ? {} : { THALAMUS_DATA: join(this.folder, service) }),
        THALAMUS_LOG_LEVEL: 'error',
        ...settings,
      },
      execArgv: ['--import', telemetry],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.children.add(child);
    const exited = new Promise<number | string>((resolve) => {
      child.once('exit', (code, signal) => {
        resolve(signal ?? code ?? 1);
      });
    });
    await Promise.race([
      new Promise<void>((resolve, reject) => {
        child.on('message', (message: { kind: string; message?: string }) => {
          if (message.kind === 'ready') resolve();
          else reject(new Error(`${service}: ${message.message ?? message.kind}`));
        });
      }),
      exited.then((how) => {
        throw new Error(`${service} ended while starting: ${how}`);
      }),
    ]);
    return { pid: child.pid ?? 0, exited, signal: (name) => void child.kill(name) };
  }
}

/** Process ids of the children of a process. */
export function childrenOf(pid: number): number[] {
  try {
    return execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number);
  } catch {
    return [];
  }
}

/** Whether a process exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Whether nothing more happens to a job. */
export function isEnd({ state }: jobV1.Job): boolean {
  return [jobV1.JobState.SUCCEEDED, jobV1.JobState.FAILED, jobV1.JobState.CANCELLED].includes(state);
}

const at = (address: string) => ({ address, defaultDeadlineMs: 20_000 });
const jobClient = (address: string) => createClient(jobV1.JobService, at(address));
const registryClient = (address: string) => createClient(registryV1.RegistryService, at(address));
const releaseClient = (address: string) => createClient(releaseV1.ReleaseService, at(address));
const artifactClient = (address: string) => createClient(artifactV1.ArtifactService, at(address));

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
