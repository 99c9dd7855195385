import {
  EXPERT_MANIFEST,
  openBundle,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  type ExpertManifest,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const MAX_MANIFEST_BYTES = 2 ** 22;
const MAX_FILE_BYTES = 2 ** 31;
const VERSION_NAME = /^([a-z0-9][a-z0-9-]*)@(\d+)$/;

/** A version whose contract can be read: its manifest, and its files by name. */
export interface ContractSource {
  readonly name: string;
  readonly manifest: ExpertManifest;
  readFile(path: string): Promise<Uint8Array>;
}

/** Opens a bundle folder, or `expert@version` of the mesh of a data folder. @throws BUNDLE_INVALID, CONFIG_INVALID, EXPERT_NOT_FOUND */
export async function openSource(named: string, data: string): Promise<ContractSource> {
  if (existsSync(join(named, EXPERT_MANIFEST))) {
    const bundle = await openBundle(named);
    return { name: named, manifest: bundle.manifest, readFile: (path) => bundle.readFile(path) };
  }
  const [, expert, version] = VERSION_NAME.exec(named) ?? [];
  if (expert === undefined || version === undefined)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${named} is neither a folder with ${EXPERT_MANIFEST} nor expert@version of the mesh; name one of them.`,
    );
  return openRegistered(expert, version, data);
}

async function openRegistered(expert: string, version: string, data: string): Promise<ContractSource> {
  const { AS_CLI, withArtifacts, withRegistry } = await import('../registry-client.js');
  const { resources } = await withRegistry({ data }, (registry) =>
    registry.listResources({ kind: 'version' }, AS_CLI),
  );
  const found = resources
    .flatMap(({ value }) => (value.case === 'version' ? [value.value] : []))
    .find((own) => own.expert === expert && own.version === version);
  if (!found)
    throw new ThalamusError(
      'EXPERT_NOT_FOUND',
      `No version ${expert}@${version} is registered; "thalamus experts show ${expert}" lists them.`,
    );
  const read = (digest: string, limit: number) =>
    withArtifacts({ data }, (store) => readArtifact(store, parseDigest(digest), limit));
  const name = `${expert}@${version}`;
  const manifest = parseExpertManifest(await read(found.manifestDigest, MAX_MANIFEST_BYTES), name);
  return {
    name,
    manifest,
    readFile: (path) => {
      const file = manifest.files.find((own) => own.path === path);
      if (!file) throw new ThalamusError('BUNDLE_INVALID', `${name} has no file ${path}.`);
      return read(`sha256:${file.sha256}`, MAX_FILE_BYTES);
    },
  };
}
