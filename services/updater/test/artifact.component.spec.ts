import { digestOf } from '@thalamus/bundle';
import { createRandom } from '@thalamus/tensor';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, RunningUpdater, temporaryFolder } from './running-updater.js';

const random = createRandom(11);
const CONTENT = Uint8Array.from({ length: 700_000 }, () => random.below(256));
const DIGEST = digestOf(CONTENT);

describe('artifacts of a running updater', () => {
  const folder = temporaryFolder();
  let updater: RunningUpdater;
  let client: RunningUpdater['clients']['artifactClient'];

  beforeAll(async () => {
    updater = await RunningUpdater.start(folder.path);
    client = updater.clients.artifactClient;
  });
  afterAll(async () => {
    await updater.stop();
    folder.remove();
  });

  type Part = Parameters<typeof client.put>[0] extends AsyncIterable<infer P> ? P : never;
  const put = (digest: string, sizeBytes: number, chunks: readonly Uint8Array[]) =>
    client.put(
      (async function* () {
        yield await Promise.resolve<Part>({
          part: { case: 'header', value: { digest, sizeBytes: BigInt(sizeBytes) } },
        });
        for (const value of chunks) yield { part: { case: 'chunk', value } } satisfies Part;
      })(),
    );
  const get = async (digest: string, offsetBytes = 0n) => {
    const chunks: Uint8Array[] = [];
    let total = 0n;
    for await (const { chunk, totalBytes } of client.get({ digest, offsetBytes })) {
      chunks.push(chunk);
      total ||= totalBytes;
    }
    return { bytes: Buffer.concat(chunks), chunks, total };
  };
  const filesKept = () =>
    readdirSync(join(folder.path, 'artifacts'), { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );

  it('refuses content of another digest or size, and keeps nothing of it', async () => {
    const other = digestOf(Buffer.from('other'));
    expect(await codeOf(put(other, CONTENT.byteLength, [CONTENT]))).toBe('ARTIFACT_CORRUPT');
    expect(await codeOf(put(DIGEST, CONTENT.byteLength, [CONTENT.subarray(0, 1_000)]))).toBe(
      'ARTIFACT_CORRUPT',
    );
    expect(await codeOf(put(DIGEST, 10, [CONTENT]))).toBe('ARTIFACT_CORRUPT');
    expect((await client.stat({ digests: [DIGEST, other] })).artifacts.map(({ exists }) => exists)).toEqual([
      false,
      false,
    ]);
    expect(filesKept()).toEqual([]);
  });

  it('refuses a stream without a header, a malformed digest and what is larger than 4 GiB', async () => {
    const chunkOnly = client.put(
      (async function* () {
        yield await Promise.resolve({ part: { case: 'chunk' as const, value: CONTENT } });
      })(),
    );
    expect(await codeOf(chunkOnly)).toBe('REQUEST_INVALID');
    expect(await codeOf(put('sha256:zz', 1, [CONTENT.subarray(0, 1)]))).toBe('REQUEST_INVALID');
    expect(await codeOf(put(DIGEST, 2 ** 33, []))).toBe('REQUEST_TOO_LARGE');
  });

  it('keeps content under its digest; a second time changes nothing', async () => {
    const parts = [CONTENT.subarray(0, 300_000), CONTENT.subarray(300_000)];
    expect(await put(DIGEST, CONTENT.byteLength, parts)).toMatchObject({ digest: DIGEST, existed: false });
    expect(await put(DIGEST, CONTENT.byteLength, parts)).toMatchObject({ existed: true });
    expect(filesKept()).toHaveLength(1);
    const { bytes, chunks, total } = await get(DIGEST);
    expect(Buffer.compare(bytes, CONTENT)).toBe(0);
    expect(total).toBe(BigInt(CONTENT.byteLength));
    expect(Math.max(...chunks.map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(256 * 1024);
  });

  it('goes on where a download broke off', async () => {
    const { bytes, total } = await get(DIGEST, 650_000n);
    expect(Buffer.compare(bytes, CONTENT.subarray(650_000))).toBe(0);
    expect(total).toBe(BigInt(CONTENT.byteLength));
    expect((await get(DIGEST, BigInt(CONTENT.byteLength))).bytes.byteLength).toBe(0);
    expect(await codeOf(get(DIGEST, BigInt(CONTENT.byteLength) + 1n))).toBe('REQUEST_INVALID');
  });

  it('says what is not there, and answers a bounded number of digests', async () => {
    expect(await codeOf(get(digestOf(Buffer.from('nothing'))))).toBe('ARTIFACT_NOT_FOUND');
    const many = Array.from({ length: 1_001 }, () => DIGEST);
    expect(await codeOf(client.stat({ digests: many }))).toBe('REQUEST_INVALID');
    expect((await client.stat({ digests: [DIGEST] })).artifacts[0]).toMatchObject({
      exists: true,
      sizeBytes: 700_000n,
    });
  });
});
