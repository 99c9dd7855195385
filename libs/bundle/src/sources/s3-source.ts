import { ThalamusError } from '@thalamus/errors';
import type { ModelSource, RemoteFile, SourceRequest } from './model-source.js';
import { signS3Get, type S3Credentials } from './sign-s3-request.js';
import { getWithRetry, type HttpPatience } from './source-http.js';

/** Where an S3-compatible store is, and who asks. */
export interface S3Options extends HttpPatience {
  /** Address of the store; buckets are the first part of its paths. */
  readonly endpoint: URL;
  readonly region: string;
  /** Without them requests are anonymous. */
  readonly credentials?: S3Credentials | undefined;
  readonly now?: () => Date;
}

/** Pages of a listing, of 1,000 objects each. */
const MAX_PAGES = 10;
const HINT =
  'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, AWS_REGION) to an account that may.';

/** The objects below a prefix of a bucket. */
export class S3Source implements ModelSource {
  readonly credentialsHint = HINT;
  readonly name: string;
  private readonly prefix: string;

  constructor(
    private readonly bucket: string,
    prefix: string,
    private readonly options: S3Options,
  ) {
    this.prefix = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
    this.name = `s3://${bucket}/${prefix}`;
  }

  async list(): Promise<readonly RemoteFile[]> {
    const files: RemoteFile[] = [];
    let token: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const url = this.urlOf('');
      url.searchParams.set('list-type', '2');
      url.searchParams.set('encoding-type', 'url');
      url.searchParams.set('prefix', this.prefix);
      if (token !== undefined) url.searchParams.set('continuation-token', token);
      const asked = { what: this.name, credentialsHint: HINT };
      const answer = await getWithRetry(this.signed(url, {}), asked, this.options);
      const text = await answer.text();
      files.push(...this.filesOf(text));
      token = elementOf(text, 'NextContinuationToken');
      if (token === undefined) return files;
    }
    throw new ThalamusError(
      'REQUEST_TOO_LARGE',
      `${this.name} holds more than ${MAX_PAGES}000 objects; name the prefix of one model.`,
    );
  }

  requestFor({ path, version }: RemoteFile, fromByte: number): SourceRequest {
    const range: Record<string, string> = fromByte > 0 ? { range: `bytes=${fromByte}-` } : {};
    return this.signed(this.urlOf(this.prefix + path), { ...range, 'if-match': version });
  }

  private filesOf(listing: string): RemoteFile[] {
    if (!listing.includes('<ListBucketResult'))
      throw new ThalamusError(
        'UPSTREAM_ERROR',
        `${this.name}: the store's answer is no listing of S3; check --endpoint.`,
      );
    return [...listing.matchAll(/<Contents>([^]*?)<\/Contents>/g)].flatMap(([, object = '']) => {
      const key = decodeURIComponent((elementOf(object, 'Key') ?? '').replaceAll('+', '%20'));
      const sizeBytes = Number(elementOf(object, 'Size'));
      const version = elementOf(object, 'ETag') ?? '';
      // Prefixes that consoles show as folders are empty objects.
      if (!key.startsWith(this.prefix) || key.endsWith('/')) return [];
      if (!Number.isSafeInteger(sizeBytes) || version === '')
        throw new ThalamusError(
          'UPSTREAM_ERROR',
          `${this.name}: the store lists ${key} without size or ETag.`,
        );
      return [{ path: key.slice(this.prefix.length), sizeBytes, version }];
    });
  }

  private urlOf(key: string): URL {
    const path = [this.bucket, ...key.split('/')].map(encodeURIComponent).join('/');
    const base = this.options.endpoint.href.replace(/\/$/, '');
    return new URL(`${base}/${key === '' ? encodeURIComponent(this.bucket) : path}`);
  }

  private signed(url: URL, headers: Record<string, string>): SourceRequest {
    const { credentials, region, now = () => new Date() } = this.options;
    if (!credentials) return { url, headers };
    return { url, headers: signS3Get(url, headers, credentials, { region, now: now() }) };
  }
}

/** Text of the first element of a name; S3's listings have neither attributes nor CDATA in these. */
function elementOf(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text
    ?.replaceAll('&quot;', '"')
    .replaceAll('&#34;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}
