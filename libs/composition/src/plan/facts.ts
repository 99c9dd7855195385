import type { Digest, ExpertManifest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { BaseFacts, Obstacle, ParentFacts } from '@thalamus/model-merge';

/** The base that a manifest's weights stand on; what was fully trained names it as what it comes from. */
export function standsOn(
  manifest: ExpertManifest | undefined,
): { readonly name: string; readonly digest: Digest } | undefined {
  if (manifest?.kind === 'full') return manifest.lineage?.parents[0];
  return manifest?.base;
}

/** Facts of a parent, name@version. */
export function parentFacts(id: string, manifest: ExpertManifest, hasTrainingRows: boolean): ParentFacts {
  const { kind, task, licence, labels = [], problemType } = manifest;
  return {
    id,
    kind,
    task,
    licence,
    labels,
    hasExclusiveLabels: problemType !== 'multi_label_classification',
    baseDigest: standsOn(manifest)?.digest ?? '',
    tokenizerDigest: fileDigest(manifest, 'tokenizer.json'),
    hasTrainingRows,
  };
}

/** Facts of a base. */
export function baseFacts(digest: Digest, manifest: ExpertManifest): BaseFacts {
  return {
    id: `${manifest.name}@${manifest.version}`,
    digest,
    tokenizerDigest: fileDigest(manifest, 'tokenizer.json'),
    licence: manifest.licence,
  };
}

/** @throws COMPOSITION_REFUSED that names every obstacle */
export function refuseObstacles(obstacles: readonly Obstacle[]): void {
  if (obstacles.length === 0) return;
  const list = obstacles
    .map(({ parent, description }) => `${parent || 'the parents'} ${description}`)
    .join(' ');
  throw new ThalamusError('COMPOSITION_REFUSED', `These experts cannot be composed: ${list}`, {
    violations: obstacles.map(({ kind, parent, description }) => ({
      field: kind,
      description: `${parent || 'the parents'} ${description}`,
    })),
  });
}

function fileDigest(manifest: ExpertManifest, path: string): string {
  return manifest.files.find((file) => file.path === path)?.sha256 ?? '';
}
