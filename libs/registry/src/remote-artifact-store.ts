import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  digestOf,
  type ArtifactSource,
  type ArtifactStat,
  type ArtifactStore,
  type Digest,
  type GetOptions,
  type PutOptions,
  type PutResult,
} from '@thalamus/bundle';
import type { artifactV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RpcClient } from '@thalamus/grpc';
import { createHash } from 'node:crypto';

const CHUNK_BYTES = 256 * 1024;
const TRANSFER_DEADLINE_MS = 120_000;

type PutPart = MessageInitShape<typeof artifactV1.PutRequestSchema>;

/** Artifacts of the updater, over thalamus.artifact.v1. Downloads are checked against their digest. */
export class RemoteArtifactStore implements ArtifactStore {
  constructor(private readonly client: RpcClient<typeof artifactV1.ArtifactService>) {}

  async put(source: ArtifactSource, options: PutOptions = {}): Promise<PutResult> {
    const bytes = source instanceof Uint8Array ? source : await collect(source);
    const digest = options.digest ?? digestOf(bytes);
    const known = await this.stat(digest);
    if (known) return { ...known, existed: true };
    const answer = await this.client.put(parts(digest, bytes), {
      deadlineMs: TRANSFER_DEADLINE_MS,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    return { digest, sizeBytes: Number(answer.sizeBytes), existed: answer.existed };
  }

  async *get(digest: Digest, options: GetOptions = {}): AsyncIterable<Uint8Array> {
    const hash = createHash('sha256');
    const offsetBytes = BigInt(options.offsetBytes ?? 0);
    const signal = options.signal ? { signal: options.signal } : {};
    for await (const { chunk } of this.client.get(
      { digest, offsetBytes },
      { deadlineMs: TRANSFER_DEADLINE_MS, ...signal },
    )) {
      hash.update(chunk);
      yield chunk;
    }
    if (offsetBytes === 0n && `sha256:${hash.digest('hex')}` !== digest) {
      throw new ThalamusError(
        'ARTIFACT_CORRUPT',
        `What ${this.client.address} sent for ${digest} does not match it; try again.`,
      );
    }
  }

  async stat(digest: Digest): Promise<ArtifactStat | undefined> {
    const { artifacts } = await this.client.stat({ digests: [digest] });
    const found = artifacts[0];
    return found?.exists ? { digest, sizeBytes: Number(found.sizeBytes) } : undefined;
  }
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* parts(digest: Digest, bytes: Uint8Array): AsyncIterable<PutPart> {
  yield { part: { case: 'header', value: { digest, sizeBytes: BigInt(bytes.byteLength) } } };
  for (let from = 0; from < bytes.byteLength; from += CHUNK_BYTES) {
    yield await Promise.resolve({
      part: { case: 'chunk' as const, value: bytes.subarray(from, from + CHUNK_BYTES) },
    });
  }
}
