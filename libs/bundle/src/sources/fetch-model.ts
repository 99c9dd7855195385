import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ThalamusError } from '@thalamus/errors';
import { sha256Hex } from '../digest.js';
import { refusedFile } from '../low-rank-format.js';
import { isPlainPath } from '../manifest-fields.js';
import { storageError } from '../storage-error.js';
import type { ModelSource, RemoteFile } from './model-source.js';
import { getWithRetry, unavailable, type HttpPatience } from './source-http.js';

/** Bounds of a transfer, and who watches it. */
export interface FetchModelOptions extends HttpPatience {
  /** Most bytes of all files together. */
  readonly maxBytes: number;
  /** Graph to take where there are several. */
  readonly graph?: string | undefined;
  /** Told how many bytes of all are there. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** Space is needed twice: for what is fetched, and for the bundle that is made of it. */
const COPIES = 2;

/**
 * Fetches the files of a model that an import reads into a folder. Sizes are checked before the first byte. A transfer that broke
 * off, in this run or an earlier one into the same folder, goes on where it stopped; every digest that the store tells is checked.
 * @throws REQUEST_TOO_LARGE past `maxBytes`, ARTIFACT_STORE_FULL without disk space, ARTIFACT_CORRUPT for other bytes than were
 * promised, BUNDLE_INVALID for names that leave the folder; and what the source throws
 */
export async function fetchModel(
  source: ModelSource,
  folder: string,
  options: FetchModelOptions,
): Promise<void> {
  const files = chooseFiles(source.name, await source.list(), options.graph);
  const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (total > options.maxBytes)
    throw new ThalamusError(
      'REQUEST_TOO_LARGE',
      `${source.name} has ${total} bytes in ${files.length} files, more than --max-bytes ${options.maxBytes}; raise it if that is meant.`,
    );
  try {
    await mkdir(folder, { recursive: true });
    const { bavail, bsize } = await statfs(folder);
    if (total * COPIES > bavail * bsize)
      throw new ThalamusError(
        'ARTIFACT_STORE_FULL',
        `${source.name} needs ${total * COPIES} bytes, but the disk of ${folder} has ${bavail * bsize} free; free space or choose another --out.`,
      );
    let done = 0;
    for (const file of files) {
      const before = done;
      await fetchOne(source, file, folder, options, (bytes) => {
        done = before + bytes;
        options.onProgress?.(done, total);
      });
      done = before + file.sizeBytes;
    }
  } catch (cause) {
    throw storageError(cause, folder);
  }
}

const READ_WHOLE =
  /^(?:[^/]+\/)?(?:[\w.-]+\.json|config\.pbtxt|adapter_model\.safetensors|(?:README|LICEN[CS]E|NOTICE)(?:\.md|\.txt)?)$/;

/** What an import may read of a listing: configuration, tokenizer, card, one graph with its data, an adapter. */
function chooseFiles(name: string, files: readonly RemoteFile[], wanted: string | undefined): RemoteFile[] {
  const isVersioned = (path: string) => /(?:^|\/)[1-9][0-9]*\/[^/]+$/.test(path);
  const graphs = files.filter(({ path }) => path.endsWith('.onnx')).map(({ path }) => path);
  const loose = graphs.filter((path) => !isVersioned(path)).sort();
  if (wanted === undefined && loose.length > 1)
    throw refusedFile(
      name,
      'the folder',
      '',
      `holds ${loose.length} graphs (${loose.slice(0, 12).join(', ')}); choose one with --graph ${loose[0] ?? ''}`,
    );
  if (wanted !== undefined && !graphs.includes(wanted))
    throw refusedFile(
      name,
      wanted,
      '',
      `is no graph of the folder, which has ${graphs.join(', ') || 'none'}`,
    );
  const taken = wanted === undefined ? graphs : [wanted];
  const isPart = (path: string) =>
    READ_WHOLE.test(path) ||
    taken.some((graph) => path === graph || path.startsWith(`${graph}_`) || path.startsWith(`${graph}.`));
  const chosen = files.filter(({ path }) => isPart(path) || path.split('/').includes('..'));
  for (const { path } of chosen)
    if (!isPlainPath(path))
      throw refusedFile(
        name,
        JSON.stringify(path.slice(0, 100)),
        '',
        'is not the plain path of a file below the folder',
      );
  if (chosen.length === 0) throw refusedFile(name, 'the folder', '', 'holds nothing that can be imported');
  return chosen;
}

/** A file on its way: where from, where to, and who is told of its bytes. */
interface Transfer {
  readonly source: ModelSource;
  readonly file: RemoteFile;
  /** What is there so far, named by the version of the file. */
  readonly part: string;
  readonly patience: HttpPatience;
  readonly onBytes: (bytes: number) => void;
}

async function fetchOne(
  source: ModelSource,
  file: RemoteFile,
  folder: string,
  patience: HttpPatience,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const target = join(folder, file.path);
  const id = sha256Hex(`${file.version}\n${file.sizeBytes}`).slice(0, 16);
  const part = `${target}.part-${id}`;
  // Says of which version a file is whose digest the store does not tell.
  const mark = join(dirname(target), `.${basename(target)}.whole-${id}`);
  await mkdir(dirname(target), { recursive: true });
  const isKnown = file.digest !== undefined || (await sizeOf(mark)) !== undefined;
  if (isKnown && (await fits(target, file))) return;
  await complete({ source, file, part, patience, onBytes });
  if (!(await fits(part, file))) {
    await rm(part, { force: true });
    throw new ThalamusError(
      'ARTIFACT_CORRUPT',
      `${source.name}: ${file.path} is not what the store says it is (${file.digest?.kind ?? 'size'} differs); it was thrown away, run the command again.`,
    );
  }
  await rename(part, target);
  if (!file.digest) await writeFile(mark, '');
}

/** Asks for the rest until all is there; gives up after as many tries in a row that bring no byte. */
async function complete(transfer: Transfer): Promise<void> {
  const { file, part, patience } = transfer;
  const { attempts = 5 } = patience;
  for (let failures = 0; ;) {
    const before = await sizeOf(part);
    if (before !== undefined && before >= file.sizeBytes) return;
    const fault = await fetchRest(transfer, before ?? 0);
    if (fault === undefined) return;
    failures = ((await sizeOf(part)) ?? 0) > (before ?? 0) ? 1 : failures + 1;
    if (failures >= attempts) throw fault;
  }
}

/** Appends what is missing; the fault when the transfer broke off in a way that may pass. */
async function fetchRest(
  { source, file, part, patience, onBytes }: Transfer,
  from: number,
): Promise<ThalamusError | undefined> {
  const asked = { what: `${source.name}: ${file.path}`, credentialsHint: source.credentialsHint };
  const answer = await getWithRetry(source.requestFor(file, from), asked, patience);
  const range = answer.headers.get('content-range') ?? '';
  const isPartial = answer.status === 206 && range.startsWith(`bytes ${from}-`);
  // A store that does not know ranges sends all of it again.
  let written = isPartial ? from : 0;
  const output = await open(part, isPartial ? 'a' : 'w');
  try {
    for await (const chunk of pieces(answer, patience.silenceMs ?? 30_000)) {
      if (written + chunk.byteLength > file.sizeBytes) {
        await output.truncate(0);
        throw new ThalamusError(
          'ARTIFACT_CORRUPT',
          `${asked.what} has more bytes than the ${file.sizeBytes} that the store lists.`,
        );
      }
      await output.writeFile(chunk);
      written += chunk.byteLength;
      onBytes(written);
    }
    await output.sync();
  } catch (cause) {
    if (ThalamusError.is(cause) || isDiskFault(cause)) throw cause;
    return unavailable(asked, 'the connection broke off', cause);
  } finally {
    await output.close();
  }
  if (written === file.sizeBytes) return undefined;
  return unavailable(asked, `it ended after ${written} of ${file.sizeBytes} bytes`);
}

const isDiskFault = (cause: unknown): boolean =>
  cause instanceof Error && 'syscall' in cause && /^(write|fsync|ftruncate)$/.test(String(cause.syscall));

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}

/** The body piece by piece; a silence ends it. */
async function* pieces(answer: Response, silenceMs: number): AsyncGenerator<Uint8Array> {
  const reader = (answer.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          reject(new Error(`silent for ${silenceMs} ms`));
        }, silenceMs);
      });
      const { value, done } = await Promise.race([reader.read(), silence]).finally(() => {
        clearTimeout(timer);
      });
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Whether a file has the digest that the store tells; true where it tells none. */
async function fits(path: string, { digest, sizeBytes }: RemoteFile): Promise<boolean> {
  if ((await sizeOf(path)) !== sizeBytes) return false;
  if (!digest) return true;
  const hash: Hash =
    digest.kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${sizeBytes}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex') === digest.hex;
}
