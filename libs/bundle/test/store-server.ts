import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** How a store misbehaves. */
export interface Faults {
  /** Paths that break off after so many bytes, once for each time that they stand here. */
  readonly cuts?: Map<string, number[]>;
  /** Answers instead of the real one, in turn. */
  readonly statuses?: number[];
  readonly ignoresRanges?: boolean;
  /** What is sent instead of the stored bytes. */
  readonly sends?: Readonly<Record<string, Uint8Array>>;
  /** Where files are redirected to. */
  readonly redirect?: string;
}

/** A request that came in. */
export interface Seen {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** A store on the loopback that speaks the layouts of S3 and of Hugging Face's hub. */
export interface StoreServer {
  readonly url: URL;
  readonly seen: Seen[];
}

export const COMMIT = 'c'.repeat(40);

/** Starts a store with files by path; it ends with the test. */
export async function storeServer(
  files: Readonly<Record<string, Uint8Array>>,
  faults: Faults = {},
): Promise<StoreServer> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    seen.push({ path, headers: request.headers });
    const status = faults.statuses?.shift();
    if (status !== undefined && status !== 200) {
      response.writeHead(status, { 'retry-after': '0' }).end('no');
      return;
    }
    if (path.startsWith('/api/models/')) hubListing(files, response);
    else if (path.includes('?list-type=2')) s3Listing(files, path, response);
    else sendFile(files, faults, { path, request, response });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), seen };
}

const md5 = (bytes: Uint8Array) => `"${createHash('md5').update(bytes).digest('hex')}"`;

function hubListing(files: Readonly<Record<string, Uint8Array>>, response: ServerResponse): void {
  const siblings = Object.entries(files).map(([rfilename, bytes]) => ({
    rfilename,
    size: bytes.byteLength,
    blobId: createHash('sha1').update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex'),
    ...(rfilename.endsWith('.onnx')
      ? { lfs: { sha256: createHash('sha256').update(bytes).digest('hex') } }
      : {}),
  }));
  response.end(JSON.stringify({ sha: COMMIT, siblings }));
}

function s3Listing(
  files: Readonly<Record<string, Uint8Array>>,
  path: string,
  response: ServerResponse,
): void {
  const query = new URLSearchParams(path.slice(path.indexOf('?')));
  const prefix = query.get('prefix') ?? '';
  // Two objects a page.
  const from = Number(query.get('continuation-token') ?? 0);
  const names = Object.keys(files).map((name) => `${prefix}${name}`);
  const page = names.slice(from, from + 2).map((key) => {
    const bytes = files[key.slice(prefix.length)] ?? new Uint8Array();
    return `<Contents><Key>${encodeURIComponent(key)}</Key><ETag>${md5(bytes).replaceAll('"', '&quot;')}</ETag><Size>${bytes.byteLength}</Size></Contents>`;
  });
  const next = from + 2 < names.length ? `<NextContinuationToken>${from + 2}</NextContinuationToken>` : '';
  response.end(`<?xml version="1.0"?><ListBucketResult>${page.join('')}${next}</ListBucketResult>`);
}

function sendFile(
  files: Readonly<Record<string, Uint8Array>>,
  { cuts, ignoresRanges, sends, redirect }: Faults,
  { path, request, response }: { path: string; request: IncomingMessage; response: ServerResponse },
): void {
  const name = Object.keys(files).find((known) => path.endsWith(`/${known}`));
  if (name === undefined) {
    response.writeHead(404).end();
    return;
  }
  if (redirect !== undefined && !path.startsWith('/cdn/')) {
    response.writeHead(302, { location: `${redirect}/cdn/${name}` }).end();
    return;
  }
  const bytes = { ...files, ...sends }[name] as Uint8Array;
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  const from = range === undefined || ignoresRanges ? 0 : Number(range);
  const headers = { 'content-length': bytes.byteLength - from, etag: md5(bytes) };
  if (range === undefined || ignoresRanges) response.writeHead(200, headers);
  else
    response.writeHead(206, {
      ...headers,
      'content-range': `bytes ${from}-${bytes.byteLength - 1}/${bytes.byteLength}`,
    });
  const cut = cuts?.get(name)?.shift();
  if (cut === undefined) response.end(bytes.subarray(from));
  else response.write(bytes.subarray(from, from + cut), () => setTimeout(() => response.destroy(), 20));
}
