import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import {
  FolderArtifactStore,
  importBundle,
  writeBundle,
  writeSafetensors,
  float32Tensor,
  type ExpertManifest,
  type WrittenBundle,
} from '@thalamus/bundle';
import { loadSettings } from '@thalamus/config';
import { composerV1, registryV1 } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { ComponentHost, COMPONENTS, type ServiceComponent } from '@thalamus/lifecycle';
import type { Storage } from '@thalamus/onnx-graph';
import { createLogger, setLogLevel } from '@thalamus/telemetry';
import { freePorts, picoHead, PICO_CONFIG, writePicoBase, writePicoMaskedLm } from '@thalamus/testing';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppModule } from '../src/app.module.js';
import { composerSettings } from '../src/config.js';
import { trainPicoExpert } from './train-pico-expert.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** What a pico probe is registered as. */
export interface PicoParent {
  readonly name: string;
  readonly labels: readonly string[];
  readonly seed: number;
  /** Rows of text; none: its data is not registered. */
  readonly texts: readonly string[];
  readonly base?: string;
  readonly licence?: string;
}

/** A real updater as a process, and the composer as a whole Nest application in this one. */
export class ComposerMesh {
  readonly folder = mkdtempSync(join(tmpdir(), 'thalamus-composer-'));
  readonly store = new FolderArtifactStore(join(this.folder, 'artifacts'));
  composer!: ReturnType<typeof composerClient>;
  registry!: ReturnType<typeof registryClient>;
  private readonly children: ChildProcess[] = [];
  private readonly bases = new Map<string, { readonly name: string; readonly digest: `sha256:${string}` }>();
  private stopComposer: () => Promise<void> = () => Promise.resolve();
  private updaterPort = 0;

  async start(): Promise<void> {
    setLogLevel('error');
    const [updaterPort = 0, composerPort = 0] = await freePorts(2);
    this.updaterPort = updaterPort;
    await this.run('updater', {
      THALAMUS_GRPC_PORT: String(updaterPort),
      THALAMUS_BUS: 'embedded',
      THALAMUS_BUS_FILE: join(this.folder, 'events.sqlite'),
      THALAMUS_ARTIFACTS_FOLDER: join(this.folder, 'artifacts'),
    });
    this.registry = registryClient(`127.0.0.1:${updaterPort}`);
    const settings = loadSettings(composerSettings, this.composerEnvironment(composerPort));
    const application = await NestFactory.createApplicationContext(AppModule.register(settings), {
      logger: false,
    });
    const host = new ComponentHost(
      application.get<readonly ServiceComponent[]>(COMPONENTS),
      createLogger('test'),
    );
    await host.start();
    this.stopComposer = async () => {
      await host.stop(5_000, 0);
      await application.close();
    };
    this.composer = composerClient(`127.0.0.1:${composerPort}`);
  }

  /** A second composer, as a process of its own; with `maxFileKib` the system refuses it files that are larger. */
  async composerProcess(
    maxFileKib?: number,
  ): Promise<{ client: ReturnType<typeof composerClient>; process: ChildProcess }> {
    const [port = 0] = await freePorts(1);
    const process = await this.run('composer', this.composerEnvironment(port), maxFileKib);
    return { client: composerClient(`127.0.0.1:${port}`), process };
  }

  get workFolder(): string {
    return join(this.folder, 'composer', 'work');
  }

  async addBase(name: string, seed: number, storage?: Storage): Promise<void> {
    const written = await writePicoBase(join(this.folder, 'made', name), { name, seed }, storage);
    await this.register(written);
    this.bases.set(name, { name, digest: written.digest });
  }

  /** Writes and registers a probe that cites its data, with half of its texts for training and half for test. */
  async addParent(parent: PicoParent): Promise<void> {
    const { name, labels, seed, texts } = parent;
    const base = this.bases.get(parent.base ?? 'pico');
    if (!base) throw new Error(`no base for ${name}`);
    const { weights, bias } = picoHead(labels.length, seed);
    const head = writeSafetensors({
      'head.weight': float32Tensor([labels.length, PICO_CONFIG.hiddenSize], weights),
      'head.bias': float32Tensor([labels.length], bias),
    });
    const manifest: Omit<ExpertManifest, 'files'> = {
      schemaVersion: 1,
      name,
      version: '1',
      kind: 'probe',
      task: 'text-classification',
      description: 'A tiny classifier made by a test.',
      base,
      labels: [...labels],
      maxTokens: PICO_CONFIG.maxPositions,
      parameterCount: 1,
      flopsPerToken: 1,
      precision: 'float32',
      licence: parent.licence ?? 'CC0-1.0',
      trainingData: [
        { name: name.replaceAll('-', '_'), licence: 'CC0-1.0', origin: 'a test', rows: texts.length },
      ],
      evaluation: [],
      trust: { signed: false, scanned: true, backdoorTested: false },
      releaseDate: '2026-01-31',
    };
    const written = await writeBundle(join(this.folder, 'made', name), manifest, {
      'head.safetensors': head,
    });
    await this.register(written);
    await this.addHalves(parent);
  }

  /** Trains and registers a low-rank classifier of the rank, on the half of its texts that is for training. */
  async addTrained(parent: Omit<PicoParent, 'licence'>, rank: number): Promise<void> {
    const { name, labels, texts } = parent;
    const base = join(this.folder, 'made', parent.base ?? 'pico');
    const half = texts.slice(0, Math.floor(texts.length / 2));
    const rows = half.map((text, index) => ({ text, label: labels[index % labels.length] ?? '' }));
    await this.register(
      await trainPicoExpert({ name, base, folder: join(this.folder, 'made', name), rank, rows }),
    );
    await this.addHalves(parent);
  }

  /** Writes and registers a masked language model that cites its texts, half of which are for training and half for test. */
  async addMaskedLm(parent: Omit<PicoParent, 'labels' | 'licence'>, rank: number): Promise<void> {
    const { name, seed, texts } = parent;
    const base = this.bases.get(parent.base ?? 'pico');
    if (!base) throw new Error(`no base for ${name}`);
    const trainingData = [{ name, licence: 'CC0-1.0', origin: 'a test', rows: texts.length }];
    const written = await writePicoMaskedLm(
      join(this.folder, 'made', name),
      { name, seed },
      base,
      { rank, alpha: rank },
      { trainingData },
    );
    await this.register(written);
    const half = Math.floor(texts.length / 2);
    const lines = (of: readonly string[]) => of.map((text) => `${JSON.stringify({ text })}\n`).join('');
    await this.addFile(name, 'train', lines(texts.slice(0, half)), half);
    await this.addFile(`${name}-test`, 'test', lines(texts.slice(half)), texts.length - half);
  }

  private async register({ folder, digest }: WrittenBundle): Promise<void> {
    await importBundle(folder, this.store);
    await this.registry.registerVersion({ version: { manifestDigest: digest } });
  }

  private async addHalves({ name, texts, labels }: PicoParent): Promise<void> {
    const half = Math.floor(texts.length / 2);
    if (half === 0) return;
    await this.addData(name, 'train', texts.slice(0, half), labels);
    await this.addData(`${name}-test`, 'test', texts.slice(half), labels);
  }

  async stop(): Promise<void> {
    this.composer.close();
    this.registry.close();
    await this.stopComposer();
    for (const child of this.children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Registers labelled rows as a data set. */
  async addData(
    name: string,
    split: string,
    texts: readonly string[],
    labels: readonly string[],
  ): Promise<void> {
    const lines = texts.map((text, index) => `${text},${labels[index % labels.length] ?? ''}`);
    await this.addFile(name, split, `text,label\n${lines.join('\n')}\n`, texts.length);
  }

  private async addFile(name: string, split: string, content: string, rows: number): Promise<void> {
    const { digest } = await this.store.put(Buffer.from(content));
    const dataset = {
      name,
      version: '1',
      digest,
      licence: 'CC0-1.0',
      origin: 'a test',
      split,
      rows: BigInt(rows),
    };
    await this.registry.registerDataset({ dataset });
  }

  private composerEnvironment(port: number): Record<string, string> {
    return {
      THALAMUS_GRPC_PORT: String(port),
      THALAMUS_UPDATER_ADDRESS: `127.0.0.1:${this.updaterPort}`,
      THALAMUS_ARTIFACTS: 'folder',
      THALAMUS_ARTIFACTS_FOLDER: join(this.folder, 'artifacts'),
      THALAMUS_DATA: join(this.folder, 'composer'),
    };
  }

  private async run(
    service: string,
    settings: Record<string, string>,
    maxFileKib?: number,
  ): Promise<ChildProcess> {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('THALAMUS_'));
    const limit = maxFileKib === undefined ? '' : `ulimit -f ${2 * maxFileKib} && `;
    // In units of 512 bytes by POSIX, of 1,024 in bash.
    const command = ['-c', `${limit}exec "$0" "$1"`, process.execPath];
    const child = spawn('sh', [...command, join(root, 'services', service, 'dist/main.js')], {
      env: {
        ...Object.fromEntries(inherited),
        THALAMUS_OPS_PORT: '0',
        ...(service === 'updater' ? {} : { THALAMUS_DATA: join(this.folder, service) }),
        THALAMUS_LOG_LEVEL: 'error',
        ...settings,
      },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.children.push(child);
    await new Promise<void>((resolve, reject) => {
      child.once('message', (message: { kind: string; message?: string }) => {
        if (message.kind === 'ready') resolve();
        else reject(new Error(`${service}: ${message.message ?? message.kind}`));
      });
      child.once('exit', (code, signal) => {
        reject(new Error(`${service} ended while starting: ${signal ?? code ?? 'unknown'}`));
      });
    });
    return child;
  }
}

/** Texts of a few words each, all different. */
export function texts(words: readonly string[], count: number): string[] {
  const pick = (index: number) => words[index % words.length] ?? '';
  return Array.from({ length: count }, (_, index) => {
    const turn = Math.floor(index / words.length);
    return `${pick(index)} ${pick(index + 1 + turn)} ${pick(index + 2)} ${turn}`;
  });
}

const at = (address: string) => ({ address, defaultDeadlineMs: 20_000 });
const composerClient = (address: string) => createClient(composerV1.ComposerService, at(address));
const registryClient = (address: string) => createClient(registryV1.RegistryService, at(address));
