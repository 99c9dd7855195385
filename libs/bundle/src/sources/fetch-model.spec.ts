import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../test/sample-bundle.js';
import { COMMIT, storeServer, type Faults } from '../../test/store-server.js';
import { fetchModel, type FetchModelOptions } from './fetch-model.js';
import { HubSource } from './hub-source.js';
import type { ModelSource } from './model-source.js';
import { S3Source } from './s3-source.js';

const SECRET = 'do-not-show-this';
const GRAPH = Uint8Array.from({ length: 300_000 }, (_, at) => (at * at) % 251);
const FILES = {
  'config.json': Buffer.from('{}'),
  'tokenizer.json': Buffer.from('{"version":"1.0"}'),
  'onnx/model.onnx': GRAPH,
  'onnx/model.onnx_data': Buffer.from('data'),
  '1_Pooling/config.json': Buffer.from('{}'),
  'pytorch_model.bin': Buffer.from('not needed'),
  'README.md': Buffer.alloc(0),
};
const NEEDED = Object.keys(FILES).filter((name) => name !== 'pytorch_model.bin');
const QUICK = { pauseMs: 1, attempts: 3, silenceMs: 5_000 };

const SOURCES: Record<string, (endpoint: URL) => ModelSource> = {
  hf: (endpoint) => new HubSource('acme/mini', 'main', { ...QUICK, endpoint, token: SECRET }),
  s3: (endpoint) =>
    new S3Source('models', 'nlp/mini', {
      ...QUICK,
      endpoint,
      region: 'eu-1',
      credentials: { accessKeyId: 'id', secretAccessKey: SECRET },
    }),
};

async function started(
  kind: string,
  faults: Faults = {},
  files: Readonly<Record<string, Uint8Array>> = FILES,
) {
  const server = await storeServer(files, faults);
  const folder = join(await temporaryFolder(), 'in');
  const source = (SOURCES[kind] as (endpoint: URL) => ModelSource)(server.url);
  const fetched = (more: Partial<FetchModelOptions> = {}) =>
    fetchModel(source, folder, { ...QUICK, maxBytes: 1e6, ...more });
  return { ...server, folder, fetched };
}

const listed = async (folder: string) =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

const refusal = async (work: Promise<unknown>) => {
  const fault: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(JSON.stringify([fault, String(fault)])).not.toContain(SECRET);
  return fault as { code: string; message: string };
};

describe.each(['hf', 's3'])('a model of %s', (kind) => {
  it('comes whole, but for what an import does not read', async () => {
    const { folder, fetched, seen } = await started(kind);
    const progress: number[] = [];
    await fetched({ onProgress: (done) => progress.push(done) });
    expect(await listed(folder)).toEqual([...NEEDED].sort());
    for (const name of NEEDED)
      expect(await readFile(join(folder, name))).toEqual(Buffer.from(FILES[name as keyof typeof FILES]));
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(seen.every(({ headers }) => headers.authorization !== undefined)).toBe(true);
    if (kind === 'hf') expect(seen.at(-1)?.path).toContain(`/acme/mini/resolve/${COMMIT}/`);
  });

  it('goes on after a cut, in the same run and in a later one', async () => {
    const cuts = new Map([['onnx/model.onnx', [100_000, 50_000, 0, 0, 0]]]);
    const { fetched, seen, folder } = await started(kind, { cuts });
    expect(await refusal(fetched())).toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
      message: expect.stringContaining('run the command again') as string,
    });
    await fetched();
    const ranges = seen.filter(({ path }) => path.endsWith('model.onnx')).map(({ headers }) => headers.range);
    expect(ranges.slice(0, 3)).toEqual([undefined, 'bytes=100000-', 'bytes=150000-']);
    expect(ranges.at(-1)).toBe('bytes=150000-');
    expect(await readFile(join(folder, 'onnx/model.onnx'))).toEqual(Buffer.from(GRAPH));
    const before = seen.length;
    await fetched();
    // What is there is not fetched again, where the store tells a digest.
    const again = seen.slice(before).filter(({ path }) => !/list-type|api\/models/.test(path));
    expect(again).toEqual([]);
  });

  it('is fetched from the start by a store that does not know ranges', async () => {
    const cuts = new Map([['onnx/model.onnx', [100_000]]]);
    const { fetched, folder } = await started(kind, { cuts, ignoresRanges: true });
    await fetched();
    expect(await readFile(join(folder, 'onnx/model.onnx'))).toEqual(Buffer.from(GRAPH));
  });

  it.each([429, 500, 503])('is asked for again after %s', async (status) => {
    const { fetched, folder } = await started(kind, { statuses: [status, status] });
    await fetched();
    expect(await listed(folder)).toHaveLength(NEEDED.length);
  });

  it.each([
    [401, 'PERMISSION_DENIED', kind === 'hf' ? /HF_TOKEN/ : /AWS_ACCESS_KEY_ID/],
    [403, 'PERMISSION_DENIED', /may not be read \(403\)/],
    [404, 'RESOURCE_NOT_FOUND', /does not exist/],
    [418, 'UPSTREAM_ERROR', /answers 418/],
  ])('is refused with %s, at once', async (status, code, message) => {
    const { fetched, seen } = await started(kind, { statuses: [status] });
    expect(await refusal(fetched())).toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
    expect(seen).toHaveLength(1);
  });

  it('is given up when the store keeps failing', async () => {
    const { fetched, seen } = await started(kind, { statuses: [503, 503, 503, 503] });
    expect(await refusal(fetched())).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    expect(seen).toHaveLength(3);
  });

  it('is refused when it is larger than allowed, before the first byte', async () => {
    const { fetched, seen, folder } = await started(kind);
    const fault = await refusal(fetched({ maxBytes: 300_000 }));
    expect(fault).toMatchObject({
      code: 'REQUEST_TOO_LARGE',
      message: expect.stringContaining('--max-bytes') as string,
    });
    expect(seen.every(({ path }) => /list-type|api\/models/.test(path))).toBe(true);
    await expect(listed(folder)).rejects.toThrow('ENOENT');
  });

  it('is refused when more bytes come than were listed', async () => {
    const sends = { 'onnx/model.onnx': Buffer.concat([GRAPH, Buffer.from('more')]) };
    const { fetched } = await started(kind, { sends });
    expect(await refusal(fetched())).toMatchObject({ code: 'ARTIFACT_CORRUPT' });
  });

  it.each(['../outside.json', 'a/../../outside.json'])('is refused with the name %s', async (name) => {
    const { fetched, seen } = await started(kind, {}, { ...FILES, [name]: Buffer.from('x') });
    expect(await refusal(fetched())).toMatchObject({
      code: 'BUNDLE_INVALID',
      message: expect.stringContaining('not the plain path') as string,
    });
    expect(seen.every(({ path }) => /list-type|api\/models/.test(path))).toBe(true);
  });

  it('is refused with two graphs, unless one is asked for', async () => {
    const files = { ...FILES, 'onnx/model_int8.onnx': GRAPH };
    const { fetched, folder } = await started(kind, {}, files);
    expect((await refusal(fetched())).message).toMatch(
      /2 graphs \(onnx\/model\.onnx, onnx\/model_int8\.onnx\); choose one with --graph/,
    );
    await fetched({ graph: 'onnx/model.onnx' });
    expect(await listed(folder)).not.toContain('onnx/model_int8.onnx');
  });

  it('sends no credentials to where it is redirected, and goes to no private address', async () => {
    const other = await storeServer(FILES);
    const { fetched } = await started(kind, { redirect: `http://127.0.0.1:${other.url.port}` });
    await fetched();
    expect(other.seen.length).toBeGreaterThan(0);
    expect(other.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    const { fetched: away } = await started(kind, { redirect: 'http://169.254.169.254' });
    expect(await refusal(away())).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('169.254.169.254') as string,
    });
  });
});

it.each(['onnx/model.onnx', 'tokenizer.json'])(
  'of the hub, %s with other bytes is thrown away',
  async (name) => {
    const wrong = Buffer.from(FILES[name as keyof typeof FILES]);
    wrong[0] = (wrong[0] ?? 0) ^ 1;
    const { fetched, folder } = await started('hf', { sends: { [name]: wrong } });
    expect(await refusal(fetched())).toMatchObject({ code: 'ARTIFACT_CORRUPT' });
    expect((await listed(folder)).filter((path) => path.startsWith(name))).toEqual([]);
  },
);

it('is refused by an address that speaks another layout', async () => {
  const { url } = await storeServer({});
  const source = new HubSource('acme/mini', 'main', { ...QUICK, endpoint: new URL(`${url.href}nothing`) });
  expect(await refusal(source.list())).toMatchObject({ code: 'RESOURCE_NOT_FOUND' });
});

it('of S3, which tells no digest, is fetched again when it changed, though it has the same size', async () => {
  const files = { ...FILES };
  const { fetched, folder } = await started('s3', {}, files);
  await fetched();
  files['onnx/model.onnx'] = GRAPH.map((value) => value ^ 1);
  await fetched();
  expect(await readFile(join(folder, 'onnx/model.onnx'))).toEqual(Buffer.from(files['onnx/model.onnx']));
});
