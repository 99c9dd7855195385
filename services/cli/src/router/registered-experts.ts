import { MAX_MANIFEST_BYTES, parseDigest, parseExpertManifest, readArtifact } from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { TableExpert } from '@thalamus/training';
import type { MeshOptions } from '../gateway-client.js';
import { AS_CLI, withArtifacts, withRegistry } from '../registry-client.js';

/**
 * Versions of the registry with their manifests, by name@version, or by name for the stable one. `folder` of each is name@version.
 * @throws EXPERT_NOT_FOUND; METHOD_UNSUPPORTED for a remote model, which has no manifest
 */
export async function registeredExperts(
  options: MeshOptions,
  names: readonly string[],
): Promise<TableExpert[]> {
  const versions = await withRegistry(options, async (registry) => {
    const { resources } = await registry.listResources({ kind: 'expert' }, AS_CLI);
    const experts = resources.flatMap(({ value }) => (value.case === 'expert' ? [value.value] : []));
    return Promise.all(
      names.map(async (text) => {
        const [name = '', version = experts.find((expert) => expert.name === name)?.stable ?? ''] =
          text.split('@');
        const known = await registry.listResources(
          { kind: 'version', namePrefix: `${name}@${version}` },
          AS_CLI,
        );
        const found = known.resources
          .flatMap(({ value }) => (value.case === 'version' ? [value.value] : []))
          .find((item) => item.expert === name && item.version === version);
        if (found) return found;
        throw new ThalamusError(
          'EXPERT_NOT_FOUND',
          `No version ${name}@${version || '(stable)'} is registered; "thalamus experts list" shows what is. A folder is named with a path, such as ./${name}.`,
        );
      }),
    );
  });
  return withArtifacts(options, (store) =>
    Promise.all(
      versions.map(async ({ expert, version, kind, manifestDigest }) => {
        const folder = `${expert}@${version}`;
        if (kind === registryV1.ExpertKind.UPSTREAM)
          throw new ThalamusError(
            'METHOD_UNSUPPORTED',
            `${folder} is a remote model, which gives no probabilities; take it out of --experts.`,
          );
        const digest = parseDigest(manifestDigest);
        const bytes = await readArtifact(store, digest, MAX_MANIFEST_BYTES);
        return { folder, digest, manifest: parseExpertManifest(bytes, folder) };
      }),
    ),
  );
}
