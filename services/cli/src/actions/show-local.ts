import { openBundle } from '@thalamus/bundle';
import { createOutput } from '../output.js';

/** Prints the bundle of a folder, every digest checked. @throws BUNDLE_INVALID */
export async function showLocal(folder: string, { json }: { readonly json: boolean }): Promise<void> {
  const { manifest, digest, sizeBytes } = await openBundle(folder);
  const { name, version, kind, task, labels, base, lineage, trainingData, evaluation, files } = manifest;
  createOutput(json).answer({ folder, digest, sizeBytes, ...manifest }, () => [
    `${name}@${version}   ${kind}, ${task}${labels ? `, ${labels.length} labels` : ''}, ${manifest.licence}`,
    `  ${manifest.description}`,
    `  ${digest}, ${(sizeBytes / 1e6).toFixed(2)} MB, ${manifest.parameterCount} parameters, ${manifest.precision}`,
    ...(base ? [`  over ${base.name} ${base.digest}`] : []),
    ...(lineage?.recipe === undefined ? [] : [`  ${lineage.recipe}, seed ${lineage.seed ?? '-'}`]),
    ...trainingData.map((row) => `  trained on ${row.name}: ${row.rows} rows, ${row.licence}, ${row.origin}`),
    ...evaluation.map(
      (row) => `  ${row.dataset} ${row.split} ${row.metric} ${row.value.toFixed(4)} (n ${row.n})`,
    ),
    ...files.map((file) => `  ${file.path}  ${file.bytes} bytes`),
  ]);
}
