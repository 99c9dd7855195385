import { ThalamusError } from '@thalamus/errors';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../test/sample-bundle.js';
import { digestOf, type Digest } from './digest.js';
import { FolderArtifactStore } from './folder-artifact-store.js';

const bytesOf = (size: number, seed = 1) =>
  Uint8Array.from({ length: size }, (_, i) => (i * 31 + seed) % 256);

/** Bytes in chunks that do not fit those of the store. */
async function* stream(bytes: Uint8Array, chunk = 100_003): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunk)
    yield await Promise.resolve(bytes.subarray(at, at + chunk));
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (ThalamusError.is(error)) return error.code;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Paths of all files below a folder. */
const filesBelow = async (root: string) =>
  (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('FolderArtifactStore', () => {
  it('gives back what was put, whole or from an offset', async () => {
    const store = new FolderArtifactStore(await temporaryFolder());
    const bytes = bytesOf(1_000_000);
    const put = await store.put(stream(bytes), { digest: digestOf(bytes) });
    expect(put).toEqual({ digest: digestOf(bytes), sizeBytes: 1_000_000, existed: false });
    expect(await store.stat(put.digest)).toEqual({ digest: put.digest, sizeBytes: 1_000_000 });
    for (const offsetBytes of [0, 1, 262_143, 262_144, 999_999, 1_000_000]) {
      const got = await collect(store.get(put.digest, { offsetBytes }));
      expect(got.equals(bytes.subarray(offsetBytes))).toBe(true);
    }
    for (const offsetBytes of [-1, 1.5, 1_000_001]) {
      expect(await codeOf(collect(store.get(put.digest, { offsetBytes })))).toBe('REQUEST_INVALID');
    }
  });

  it('keeps nothing on a false claim, a broken source or a cancelled transfer', async () => {
    const root = await temporaryFolder();
    const store = new FolderArtifactStore(root);
    const bytes = bytesOf(300_000);
    expect(await codeOf(store.put(bytes, { digest: digestOf('other') }))).toBe('ARTIFACT_CORRUPT');
    const broken = async function* () {
      yield await Promise.resolve(bytes);
      throw new Error('the line went dead');
    };
    await expect(store.put(broken())).rejects.toThrow('the line went dead');
    const aborter = new AbortController();
    const aborting = async function* () {
      yield await Promise.resolve(bytes);
      aborter.abort();
      yield bytes;
    };
    await expect(store.put(aborting(), { signal: aborter.signal })).rejects.toThrow('aborted');
    expect(await filesBelow(root)).toEqual([]);
    expect(await store.stat(digestOf(bytes))).toBeUndefined();
  });

  it('takes the same bytes from many writers at once, and keeps them once', async () => {
    const root = await temporaryFolder();
    const bytes = bytesOf(500_000);
    const stores = [new FolderArtifactStore(root), new FolderArtifactStore(root)];
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, i) => stores[i % 2]!.put(stream(bytes, 70_001))),
    );
    expect(new Set(results.map(({ digest }) => digest))).toEqual(new Set([digestOf(bytes)]));
    expect(await filesBelow(root)).toEqual([stores[0]!.pathOf(digestOf(bytes))]);
    expect((await stores[1]!.put(bytes)).existed).toBe(true);
    expect((await collect(stores[0]!.get(digestOf(bytes)))).equals(bytes)).toBe(true);
  });

  it('notices damage before the stream ends, and a new put repairs it', async () => {
    const store = new FolderArtifactStore(await temporaryFolder());
    const bytes = bytesOf(600_000);
    const { digest } = await store.put(bytes);
    const damage: ((path: string) => Promise<void>)[] = [
      async (path) => {
        const stored = await readFile(path);
        stored[599_999]! ^= 1;
        await writeFile(path, stored);
      },
      (path) => truncate(path, 599_000),
      (path) => writeFile(path, ''),
    ];
    for (const harm of damage) {
      await harm(store.pathOf(digest));
      expect(await codeOf(collect(store.get(digest)))).toBe('ARTIFACT_CORRUPT');
      expect(await store.put(bytes)).toMatchObject({ digest, existed: true });
      expect((await collect(store.get(digest))).equals(bytes)).toBe(true);
    }
  });

  it('knows nothing of what was never put, and refuses what is no digest', async () => {
    const store = new FolderArtifactStore(join(await temporaryFolder(), 'not-made-yet'));
    expect(await store.stat(digestOf('x'))).toBeUndefined();
    expect(await codeOf(collect(store.get(digestOf('x'))))).toBe('ARTIFACT_NOT_FOUND');
    for (const text of [
      'sha256:../../../etc/passwd',
      `sha256:${'A'.repeat(64)}`,
      `sha512:${'a'.repeat(64)}`,
      '',
    ]) {
      expect(() => store.pathOf(text as Digest)).toThrow('is not a digest');
    }
  });

  it('says ARTIFACT_STORE_FULL when the disk takes no more, and leaves no part of a file', async () => {
    const root = await temporaryFolder();
    const answers = await putUnderFileSizeLimit(root, [200_000, 3_000_000, 100_000]);
    expect(answers.map(({ code }) => code)).toEqual(['stored', 'ARTIFACT_STORE_FULL', 'stored']);
    expect(answers[1]?.message).toContain(`The disk of ${root} has no space left`);
    expect((await filesBelow(root)).length).toBe(2);
  });
});

interface Answer {
  readonly code: string;
  readonly message: string;
}

/** Puts artifacts of these sizes in a process whose files may not pass 1 MiB: the system itself refuses the writes. */
async function putUnderFileSizeLimit(root: string, sizes: readonly number[]): Promise<Answer[]> {
  const library = fileURLToPath(new URL('../dist/index.js', import.meta.url));
  const script = `
    import { FolderArtifactStore } from ${JSON.stringify(library)};
    const store = new FolderArtifactStore(${JSON.stringify(root)});
    const answers = [];
    for (const size of ${JSON.stringify(sizes)})
      answers.push(await store.put(new Uint8Array(size).fill(size % 251)).then(
        () => ({ code: 'stored', message: '' }),
        ({ code, message }) => ({ code, message })));
    process.stdout.write(JSON.stringify(answers));`;
  // In units of 512 bytes by POSIX, of 1,024 in bash: 1 MiB or 2 MiB.
  const command = 'ulimit -f 2048 && exec "$0" --input-type=module -e "$1"';
  const child = spawn('sh', ['-c', command, process.execPath, script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [text] = await Promise.all([collect(child.stdout as AsyncIterable<Uint8Array>), once(child, 'exit')]);
  return JSON.parse(text.toString()) as Answer[];
}
