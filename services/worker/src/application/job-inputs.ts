import { timestampDate } from '@bufbuild/protobuf/wkt';
import { JOB_ARTIFACTS, type jobV1 } from '@thalamus/contracts';
import { materialiseBundle, parseDigest, type ArtifactStore, type Digest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { CheckpointRole } from './job-process.port.js';

/** Folders older than this were left by a process that was killed. */
const STALE_MS = 86_400_000;

/** Where jobs keep their files on this machine. */
export class JobInputs {
  constructor(
    private readonly store: ArtifactStore,
    private readonly dataFolder: string,
  ) {}

  /** Removes what killed processes left behind a day ago or earlier. */
  async start(): Promise<void> {
    const root = join(this.dataFolder, 'jobs');
    for (const name of await readdir(root).catch(() => [])) {
      const folder = join(root, name);
      const facts = await stat(folder).catch(() => undefined);
      if (facts && Date.now() - facts.mtimeMs > STALE_MS) await rm(folder, { recursive: true, force: true });
    }
  }

  /** Does work with a folder of its own, which is removed afterwards. */
  async inFolder<T>(job: jobV1.Job, token: bigint, work: (folder: string) => Promise<T>): Promise<T> {
    const folder = join(this.dataFolder, 'jobs', `${job.id}-${token}`);
    await mkdir(folder, { recursive: true });
    try {
      return await work(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Writes an artifact to a file, verified. @throws ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT */
  async file(digest: Digest, path: string): Promise<string> {
    await pipeline(this.store.get(digest), createWriteStream(path));
    return path;
  }

  /** Folder of a verified bundle, kept for later jobs. */
  bundle(digest: Digest): Promise<string> {
    return materialiseBundle(digest, this.store, join(this.dataFolder, 'bundles'));
  }

  /** Puts the checkpoint of an earlier attempt where the work looks for it; without any, nothing. Files by role. */
  async checkpoints(job: jobV1.Job, folder: string): Promise<Record<CheckpointRole, string>> {
    const files: Record<string, string> & Record<CheckpointRole, string> = {
      features: join(folder, `${JOB_ARTIFACTS.features}.safetensors`),
      training: join(folder, `${JOB_ARTIFACTS.training}.safetensors`),
      losses: join(folder, `${JOB_ARTIFACTS.losses}.jsonl`),
    };
    const { name = '', digest = '' } = job.checkpoint ?? {};
    const path = Object.hasOwn(files, name) ? files[name] : undefined;
    if (path !== undefined) {
      // A checkpoint that is gone costs time only: the work begins anew.
      await this.file(parseDigest(digest), path).catch(() => rm(path, { force: true }));
    }
    return files;
  }
}

/** Digest of an input of a job. @throws REQUEST_INVALID */
export function inputOf(job: jobV1.Job, name: string): Digest {
  const found = optionalInputOf(job, name);
  if (found === undefined)
    throw new ThalamusError('REQUEST_INVALID', `Job ${job.id} names no input "${name}"; submit it again.`);
  return found;
}

/** Digest of an input that a job may lack. */
export function optionalInputOf(job: jobV1.Job, name: string): Digest | undefined {
  const found = job.inputs.find((input) => input.name === name);
  return found === undefined ? undefined : parseDigest(found.digest);
}

/** Day on which a job was submitted: the same for every attempt. */
export function dayOf(job: jobV1.Job): string {
  return (job.createdAt ? timestampDate(job.createdAt) : new Date()).toISOString().slice(0, 10);
}
