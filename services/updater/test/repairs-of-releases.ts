import { importBundle, type Digest } from '@thalamus/bundle';
import { JOB_ARTIFACTS, JOB_KINDS, jobV1, type releaseV1 } from '@thalamus/contracts';
import { waitUntil, writePicoBase, writePicoLowRank, writePicoProbe } from '@thalamus/testing';
import { join } from 'node:path';
import { temporaryFolder, type clientsOf } from './running-updater.js';

type Clients = ReturnType<typeof clientsOf>;

const LABELS = ['card', 'law'];
const ITEMS = 50;

/** What a worker says of a repair that it made. */
export interface RepairTold {
  /** Number that its bundle has. */
  readonly version?: string;
  readonly verdict?: string;
  /** Items that the repaired version still gets wrong. */
  readonly flips?: number;
}

/** An expert `intents` of two low-rank versions, a probe and rows, on an updater; and what a worker says of jobs that repair it. */
export class RepairableExpert {
  private base: Digest = 'sha256:';
  private count = 0;

  constructor(private readonly clients: () => Clients) {}

  async register(): Promise<void> {
    const { registry, artifacts } = this.clients();
    const made = temporaryFolder();
    try {
      const path = join(made.path, 'base');
      this.base = (await writePicoBase(path, { name: 'pico-base' })).digest;
      await importBundle(path, artifacts);
    } finally {
      made.remove();
    }
    await registry.registerVersion({ version: { manifestDigest: this.base } });
    for (const version of ['1', '2']) {
      const manifestDigest = await this.bundle(version);
      await registry.registerVersion({ version: { manifestDigest } });
    }
    const { digest } = await artifacts.put(Buffer.from('text,label\n'));
    const dataset = { version: '1', digest, licence: 'CC0-1.0', origin: 'test', split: 'train', rows: 100n };
    await registry.registerDataset({ dataset: { ...dataset, name: 'rows' } });
  }

  /** Stores a version of the expert; resolves with the digest of its manifest. */
  async bundle(version: string, kind: 'lowrank' | 'probe' = 'lowrank'): Promise<string> {
    const made = temporaryFolder();
    const path = join(made.path, 'bundle');
    const name = { name: 'intents', version, seed: 10 * Number(version) + this.count++ };
    const base = { name: 'pico-base', digest: this.base };
    try {
      if (kind === 'probe') await writePicoProbe(path, name, LABELS, base);
      else await writePicoLowRank(path, name, LABELS, base, { rank: 2, alpha: 2 });
      return (await importBundle(path, this.clients().artifacts)).digest;
    } finally {
      made.remove();
    }
  }

  /** Stores answers to items of which the first ones are wrong. */
  async answers(wrong: number): Promise<string> {
    const line = (_: unknown, id: number) =>
      JSON.stringify({ id: String(id), label: 'card', prediction: id < wrong ? 'law' : 'card' });
    const rows = Array.from({ length: ITEMS }, line).join('\n');
    return (await this.clients().artifacts.put(Buffer.from(rows))).digest;
  }

  /** A release of version 2 that stands, because its answers are worse. */
  async standing(more: Partial<{ stepSeconds: number }> = {}): Promise<releaseV1.Release> {
    const [oldDigest, newDigest] = [await this.answers(0), await this.answers(20)];
    const wanted = { expert: 'intents', toVersion: '2', oldDigest, newDigest, ...more };
    const { release } = await this.clients().release.start(wanted);
    if (!release?.stopped.startsWith('Incompatible')) throw new Error('the release does not stand');
    return release;
  }

  async find(id: string): Promise<releaseV1.Release> {
    const { release } = await this.clients().release.getRelease({ id });
    if (!release) throw new Error(`no release ${id}`);
    return release;
  }

  async job(id: string): Promise<jobV1.Job> {
    const { job } = await this.clients().jobs.get({ id });
    if (!job) throw new Error(`no job ${id}`);
    return job;
  }

  /** A worker takes the job that waits. */
  async claim(): Promise<{ readonly id: string; readonly token: bigint }> {
    const wanted = { worker: 'w', kinds: [JOB_KINDS.repair], leaseMs: 60_000, waitMs: 5_000 };
    const { job, token } = await this.clients().jobs.claim(wanted);
    if (!job) throw new Error('no job waits');
    return { id: job.id, token };
  }

  /** What it has made is stored, and told by `finish`. */
  async made({ version = '3', verdict = 'repaired', flips = 0 }: RepairTold = {}) {
    const outputs = [
      { name: JOB_ARTIFACTS.bundle, digest: await this.bundle(version) },
      { name: JOB_ARTIFACTS.oldPredictions, digest: await this.answers(0) },
      { name: JOB_ARTIFACTS.predictions, digest: await this.answers(flips) },
    ];
    return { state: jobV1.JobState.SUCCEEDED, outputs, result: { verdict, reason: 'Judged.' } };
  }

  async versions(): Promise<string[]> {
    const { resources } = await this.clients().registry.listResources({
      ...{ kind: 'version', namePrefix: 'intents@', pageSize: 1_000 },
    });
    return resources.flatMap(({ value }) => (value.case === 'version' ? [value.value.version] : []));
  }

  /** The release once it waits for its job no longer. */
  async settled(id: string): Promise<releaseV1.Release> {
    const isSettled = async () => (await this.find(id)).repair?.ended === true;
    await waitUntil(`the repair of ${id} has ended`, isSettled, { timeoutMs: 20_000 });
    return this.find(id);
  }
}
