import { digestOf, type ArtifactFacts, type ArtifactStore, type Digest } from '@thalamus/bundle';
import { artifactV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RpcClient } from '@thalamus/grpc';
import type { MessageInitShape } from '@bufbuild/protobuf';

const CHUNK_BYTES = 256 * 1024;
const TRANSFER_DEADLINE_MS = 120_000;

type PutPart = MessageInitShape<typeof artifactV1.PutRequestSchema>;

/** Artifacts of the updater, over thalamus.artifact.v1. Downloads are checked against their digest. */
export class RemoteArtifactStore implements ArtifactStore {
  constructor(private readonly client: RpcClient<typeof artifactV1.ArtifactService>) {}

  async put(bytes: Uint8Array): Promise<ArtifactFacts> {
    const digest = digestOf(bytes);
    const answer = await this.client.put(parts(digest, bytes), { deadlineMs: TRANSFER_DEADLINE_MS });
    return { digest, sizeBytes: Number(answer.sizeBytes) };
  }

  async get(digest: Digest): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const { chunk } of this.client.get({ digest }, { deadlineMs: TRANSFER_DEADLINE_MS }))
      chunks.push(chunk);
    const bytes = new Uint8Array(Buffer.concat(chunks));
    if (digestOf(bytes) !== digest)
      throw new ThalamusError(
        'ARTIFACT_CORRUPT',
        `What ${this.client.address} sent for ${digest} does not match it; try again.`,
      );
    return bytes;
  }

  async stat(digest: Digest): Promise<ArtifactFacts | undefined> {
    const { artifacts } = await this.client.stat({ digests: [digest] });
    const found = artifacts[0];
    return found?.exists ? { digest, sizeBytes: Number(found.sizeBytes) } : undefined;
  }
}

async function* parts(digest: Digest, bytes: Uint8Array): AsyncIterable<PutPart> {
  yield { part: { case: 'header', value: { digest, sizeBytes: BigInt(bytes.byteLength) } } };
  for (let from = 0; from < bytes.byteLength; from += CHUNK_BYTES) {
    yield { part: { case: 'chunk', value: bytes.subarray(from, from + CHUNK_BYTES) } };
  }
  await Promise.resolve();
}
