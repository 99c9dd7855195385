import { fetchModel, HubSource, S3Source, type ModelSource, type S3Options } from '@thalamus/bundle';
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { progressBar } from '../progress-bar.js';
import { requireFree } from '../training/local-run.js';
import { importLocal } from './import-local.js';
import { nameOf, usage, type ImportOptions } from './import-options.js';

/** Options of an import from a store. */
export interface RemoteOptions extends ImportOptions {
  readonly endpoint?: string;
  readonly maxBytes: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A store, and the name that the model has in it. */
interface NamedStore {
  readonly suggested: string;
  readonly store: ModelSource;
}

const HUB = 'https://huggingface.co';
const DIGITS = 16;

/** Whether a source is a store and not a folder. */
export const isRemote = (source: string): boolean => /^(s3|hf):\/\//.test(source);

/**
 * Fetches a model beside the folder of its bundle and imports it from there. What was fetched stays when the import fails or is
 * interrupted, so that the same command goes on; it is removed when the bundle is there.
 * @throws CONFIG_INVALID, and as `fetchModel` and `importLocal`
 */
export async function importRemote(source: string, options: RemoteOptions): Promise<void> {
  // eslint-disable-next-line no-restricted-syntax -- the command line is where its environment is read
  const { suggested, store } = sourceOf(source, options.endpoint, process.env);
  const name = nameOf(options.name, suggested);
  const out = resolve(options.out);
  await requireFree(out);
  const folder = `${out}.download-${createHash('sha256').update(store.name).digest('hex').slice(0, DIGITS)}`;
  const bar = await progressBar(options.json);
  try {
    const onProgress = (done: number, total: number) => {
      bar.step({ stage: 'bytes', done, total });
    };
    await fetchModel(store, folder, { maxBytes: options.maxBytes, graph: options.graph, onProgress });
  } finally {
    bar.end();
  }
  const origin = options.origin === 'not stated' ? store.name : options.origin;
  await importLocal(folder, { ...options, name, origin });
  await rm(folder, { recursive: true, force: true });
}

/** The store that a source names; credentials and endpoints come from the environment, as their own tools take them. */
export function sourceOf(source: string, endpoint: string | undefined, env: Environment): NamedStore {
  const [, bucket, key = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,62})(?:\/(.*))?$/.exec(source) ?? [];
  if (bucket !== undefined) return bucketOf(bucket, key.replace(/\/+$/, ''), endpoint, env);
  const [, repository, revision = 'main'] = /^hf:\/\/([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?$/.exec(source) ?? [];
  if (repository === undefined)
    throw usage(`"${source}" names no model; write s3://bucket/prefix, or hf://organisation/name@revision.`);
  const address = addressOf(endpoint ?? env['HF_ENDPOINT'] ?? HUB);
  const store = new HubSource(repository, revision, { endpoint: address, token: given(env['HF_TOKEN']) });
  return { suggested: repository.slice(repository.indexOf('/') + 1), store };
}

function bucketOf(
  bucket: string,
  prefix: string,
  endpoint: string | undefined,
  env: Environment,
): NamedStore {
  const region = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1';
  const ofService = env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'];
  const address = addressOf(endpoint ?? ofService ?? `https://s3.${region}.amazonaws.com`);
  const store = new S3Source(bucket, prefix, { endpoint: address, region, credentials: accountOf(env) });
  return { suggested: prefix.slice(prefix.lastIndexOf('/') + 1) || bucket, store };
}

function accountOf(env: Environment): S3Options['credentials'] {
  const accessKeyId = given(env['AWS_ACCESS_KEY_ID']);
  const secretAccessKey = given(env['AWS_SECRET_ACCESS_KEY']);
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken: given(env['AWS_SESSION_TOKEN']) };
}

/** A variable that is set to nothing counts as one that is not set. */
const given = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw usage(
      'The endpoint must be an http or https address without a user; give --endpoint https://host:port.',
    );
  return url;
}
