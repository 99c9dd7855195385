import type { MessageInitShape } from '@bufbuild/protobuf';
import { parseDigest, type ArtifactStore } from '@thalamus/bundle';
import type { artifactV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';

const MAX_ARTIFACT_BYTES = 4 * 2 ** 30;
const MAX_STATS = 1_000;
const CHUNK_BYTES = 256 * 1024;

type Chunk = MessageInitShape<typeof artifactV1.GetResponseSchema>;

/** thalamus.artifact.v1 over a content-addressed store. */
export class ArtifactGrpcService implements ServiceImplementation<typeof artifactV1.ArtifactService> {
  constructor(private readonly store: ArtifactStore) {}

  async put(requests: AsyncIterable<artifactV1.PutRequest>, context: CallContext) {
    const parts = requests[Symbol.asyncIterator]();
    const first = await parts.next();
    const header = first.done ? undefined : first.value.part;
    if (header?.case !== 'header')
      throw new ThalamusError(
        'REQUEST_INVALID',
        'The first message of Put must be the header with digest and size_bytes.',
      );
    const digest = parseDigest(header.value.digest);
    const size = Number(header.value.sizeBytes);
    if (size > MAX_ARTIFACT_BYTES)
      throw new ThalamusError(
        'REQUEST_TOO_LARGE',
        `An artifact of ${size} bytes is too large; at most ${MAX_ARTIFACT_BYTES} are taken.`,
      );
    const stored = await this.store.put(chunksOf(parts, size), { digest, signal: context.signal });
    return { digest: stored.digest, sizeBytes: BigInt(stored.sizeBytes), existed: stored.existed };
  }

  async *get(request: artifactV1.GetRequest, context: CallContext): AsyncIterable<Chunk> {
    const digest = parseDigest(request.digest);
    const facts = await this.store.stat(digest);
    if (!facts) throw new ThalamusError('ARTIFACT_NOT_FOUND', `No artifact ${digest} is stored here.`);
    if (request.offsetBytes > BigInt(facts.sizeBytes))
      throw new ThalamusError(
        'REQUEST_INVALID',
        `offset_bytes is ${request.offsetBytes}, but ${digest} has ${facts.sizeBytes} bytes.`,
      );
    let totalBytes = BigInt(facts.sizeBytes);
    for await (const bytes of this.store.get(digest, {
      offsetBytes: Number(request.offsetBytes),
      signal: context.signal,
    })) {
      for (let from = 0; from < bytes.byteLength; from += CHUNK_BYTES) {
        yield { chunk: bytes.subarray(from, from + CHUNK_BYTES), totalBytes };
        totalBytes = 0n;
      }
    }
  }

  async stat(request: artifactV1.StatRequest) {
    if (request.digests.length > MAX_STATS)
      throw new ThalamusError(
        'REQUEST_INVALID',
        `${request.digests.length} digests were sent; at most ${MAX_STATS} are answered at once.`,
      );
    const artifacts = await Promise.all(
      request.digests.map(async (text) => {
        const facts = await this.store.stat(parseDigest(text));
        return { digest: text, exists: facts !== undefined, sizeBytes: BigInt(facts?.sizeBytes ?? 0) };
      }),
    );
    return { artifacts };
  }
}

async function* chunksOf(
  parts: AsyncIterator<artifactV1.PutRequest>,
  size: number,
): AsyncIterable<Uint8Array> {
  let received = 0;
  for (let next = await parts.next(); !next.done; next = await parts.next()) {
    const { part } = next.value;
    if (part.case !== 'chunk')
      throw new ThalamusError('REQUEST_INVALID', 'Only chunks may follow the header of Put.');
    received += part.value.byteLength;
    if (received > size)
      throw new ThalamusError(
        'ARTIFACT_CORRUPT',
        `More than the ${size} bytes that the header claims were sent.`,
      );
    yield part.value;
  }
  if (received !== size)
    throw new ThalamusError(
      'ARTIFACT_CORRUPT',
      `${received} bytes were sent, but the header claims ${size}.`,
    );
}
