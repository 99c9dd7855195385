import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';
import type { ModelSource, RemoteFile, SourceRequest } from './model-source.js';
import { getWithRetry, type HttpPatience } from './source-http.js';

/** Where a hub is, and who asks. */
export interface HubOptions extends HttpPatience {
  readonly endpoint: URL;
  /** Sent to the hub alone, not to where it redirects. */
  readonly token?: string | undefined;
}

const HINT = 'Set HF_TOKEN to a token that may read it, and accept the terms of the model where it has some.';

const revision = z.looseObject({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z
    .array(
      z.looseObject({
        rfilename: z.string(),
        size: z.number().int().nonnegative().optional(),
        blobId: z.string().optional(),
        lfs: z.looseObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }).nullish(),
      }),
    )
    .max(10_000),
});

/** A model of a hub in the layout of Hugging Face, at one commit, which its revision names when it is listed. */
export class HubSource implements ModelSource {
  readonly credentialsHint = HINT;
  readonly name: string;
  private commit = '';

  constructor(
    private readonly repository: string,
    private readonly revision: string,
    private readonly options: HubOptions,
  ) {
    this.name = `hf://${repository}@${revision}`;
  }

  async list(): Promise<readonly RemoteFile[]> {
    const url = this.urlOf(
      `api/models/${this.repository}/revision/${encodeURIComponent(this.revision)}?blobs=true`,
    );
    const asked = { what: this.name, credentialsHint: HINT };
    const answer = await getWithRetry({ url, headers: this.headers }, asked, this.options);
    const parsed = revision.safeParse(await answer.json().catch(() => undefined));
    if (!parsed.success)
      throw new ThalamusError(
        'UPSTREAM_ERROR',
        `${this.name}: the answer is no listing of a hub; check --endpoint.`,
      );
    this.commit = parsed.data.sha;
    return parsed.data.siblings.map(({ rfilename: path, size, blobId, lfs }) => {
      if (size === undefined || blobId === undefined)
        throw new ThalamusError('UPSTREAM_ERROR', `${this.name}: the hub lists ${path} without size or id.`);
      const digest = lfs
        ? ({ kind: 'sha256', hex: lfs.sha256 } as const)
        : ({ kind: 'git-blob', hex: blobId } as const);
      return { path, sizeBytes: size, version: digest.hex, digest };
    });
  }

  requestFor({ path }: RemoteFile, fromByte: number): SourceRequest {
    const name = path.split('/').map(encodeURIComponent).join('/');
    const range: Record<string, string> = fromByte > 0 ? { range: `bytes=${fromByte}-` } : {};
    return {
      url: this.urlOf(`${this.repository}/resolve/${this.commit}/${name}`),
      headers: { ...this.headers, ...range },
    };
  }

  private get headers(): Record<string, string> {
    const { token } = this.options;
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  private urlOf(path: string): URL {
    return new URL(`${this.options.endpoint.href.replace(/\/$/, '')}/${path}`);
  }
}
