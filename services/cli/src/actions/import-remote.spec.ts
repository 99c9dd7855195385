import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readdir } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openBundle } from '@thalamus/bundle';
import { at, wishes } from '../../test/support/import-harness.js';
import { exportFiles } from '../../test/support/model-folders.js';
import { importRemote, isRemote, sourceOf } from './import-remote.js';

const MOST = 1e7;

/** A hub on the loopback with one model. */
async function hub(model: Readonly<Record<string, string | Uint8Array | object>>): Promise<string> {
  const files = Object.entries(model).map(([name, content]): [string, Buffer] => [
    name,
    Buffer.from(content instanceof Uint8Array ? content : JSON.stringify(content)),
  ]);
  const siblings = files.map(([rfilename, bytes]) => ({
    rfilename,
    size: bytes.byteLength,
    blobId: createHash('sha1').update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex'),
  }));
  const server = createServer((request, response) => {
    const found = files.find(([name]) => request.url?.endsWith(`/${name}`));
    if (request.url?.startsWith('/api/')) response.end(JSON.stringify({ sha: 'a'.repeat(40), siblings }));
    else response.writeHead(found ? 200 : 404).end(found?.[1]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('an import from a store', () => {
  it('fetches, imports, says where the model comes from, and leaves nothing beside the bundle', async () => {
    const endpoint = await hub(exportFiles());
    await importRemote('hf://acme/My.Mini@v1', {
      ...wishes({ origin: 'not stated' }),
      endpoint,
      maxBytes: MOST,
    });
    const { manifest } = await openBundle(at('out'));
    expect(manifest).toMatchObject({ name: 'my-mini', labels: ['no', 'maybe', 'yes'] });
    expect(manifest.lineage?.recipe).toContain('origin: hf://acme/My.Mini@v1');
    expect(await readdir(at(''))).toEqual(['out']);
  });

  it('keeps what was fetched when the model is refused', async () => {
    const endpoint = await hub(exportFiles(undefined, { problem_type: 'regression' }));
    const work = importRemote('hf://acme/mini', { ...wishes(), endpoint, maxBytes: MOST });
    await expect(work).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    expect(await readdir(at(''))).toEqual([expect.stringMatching(/^out\.download-[0-9a-f]{16}$/)]);
  });
});

describe('a source', () => {
  it('is a store by its scheme', () => {
    expect(['s3://b/p', 'hf://o/n', './s3', '/tmp/hf'].map(isRemote)).toEqual([true, true, false, false]);
  });

  it.each([
    [
      's3://models/nlp/mini/',
      {},
      's3://models/nlp/mini',
      'mini',
      'https://s3.us-east-1.amazonaws.com/models/nlp/mini/f',
    ],
    [
      's3://models',
      { AWS_REGION: 'eu-1' },
      's3://models/',
      'models',
      'https://s3.eu-1.amazonaws.com/models/f',
    ],
    [
      's3://mod/p',
      { AWS_ENDPOINT_URL: 'http://127.0.0.1:9000/s' },
      's3://mod/p',
      'p',
      'http://127.0.0.1:9000/s/mod/p/f',
    ],
    ['hf://acme/mini', {}, 'hf://acme/mini@main', 'mini', 'https://huggingface.co/acme/mini/resolve//f'],
    [
      'hf://acme/mini@refs/pr/1',
      { HF_ENDPOINT: 'http://h:1' },
      'hf://acme/mini@refs/pr/1',
      'mini',
      'http://h:1/acme/mini/resolve//f',
    ],
  ])('%s with %j', (source, env, name, suggested, url) => {
    const found = sourceOf(source, undefined, env);
    expect(found).toMatchObject({ suggested, store: { name } });
    expect(found.store.requestFor({ path: 'f', sizeBytes: 1, version: 'v' }, 0).url.href).toBe(url);
  });

  it.each([
    ['hf://mini', undefined, /names no model; write s3:\/\/bucket\/prefix, or hf:/],
    ['hf://a/../../b', undefined, /names no model/],
    ['s3://B', undefined, /names no model/],
    ['s3://models/p', 'ftp://h', /must be an http or https address/],
    ['s3://models/p', 'https://me:secret@h', /without a user/],
  ])('%s at %s is refused', (source, endpoint, pattern) => {
    expect(() => sourceOf(source, endpoint, {})).toThrow(pattern);
  });
});
