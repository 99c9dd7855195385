import { parseDigest, type ArtifactStore } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';

/** @throws ARTIFACT_NOT_FOUND that names what is not stored; REQUEST_INVALID for what is no digest */
export async function needArtifact(
  artifacts: Pick<ArtifactStore, 'stat'>,
  digestText: string,
  what: string,
): Promise<void> {
  const digest = parseDigest(digestText);
  if (await artifacts.stat(digest)) return;
  throw new ThalamusError(
    'ARTIFACT_NOT_FOUND',
    `${what} (${digest}) is not stored; put it into the artifact store first.`,
  );
}
