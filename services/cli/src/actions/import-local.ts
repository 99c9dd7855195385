import {
  listImportFolder,
  parsePeftAdapter,
  readPeftFolder,
  recogniseForm,
  writeBundle,
} from '@thalamus/bundle';
import { importedBundle } from '@thalamus/training';
import { basename, resolve } from 'node:path';
import { NO_LICENCE_STATED } from '../jobs/no-licence-stated.js';
import { createOutput } from '../output.js';
import { requireFree } from '../training/local-run.js';
import { localTools, openLocalBase } from '../training/local-tools.js';
import { importGraph } from './import-graph.js';
import { labelsOf, nameOf, onlyFor, today, type ImportOptions } from './import-options.js';

/**
 * Turns a folder into a bundle: what it is, is told by its files. All is read and checked before the folder of the bundle is
 * made.
 * @throws BUNDLE_INVALID naming file and field, GRAPH_INVALID, CONFIG_INVALID
 */
export async function importLocal(folder: string, options: ImportOptions): Promise<void> {
  if (options.name !== undefined) nameOf(options.name, '');
  const out = resolve(options.out);
  await requireFree(out);
  const listed = await listImportFolder(folder);
  const form = recogniseForm(listed);
  if (form.kind === 'peft') await importPeft(folder, out, options);
  else await importGraph(listed, form, out, options);
}

async function importPeft(folder: string, out: string, options: ImportOptions): Promise<void> {
  const { graph, pooling, maxTokens } = options;
  onlyFor('an ONNX export', { graph, pooling, 'max-tokens': maxTokens });
  const name = nameOf(options.name, basename(resolve(folder)));
  const files = await readPeftFolder(folder, options.head);
  const tools = localTools(1);
  try {
    const base = await openLocalBase(options.base, tools);
    const { weights: shapes, config } = base.read;
    const classifier = parsePeftAdapter(files, { shapes, hidden: config.hiddenSize });
    const labels =
      options.labels === undefined ? unnamed(classifier.head.bias.length) : labelsOf(options.labels);
    const { manifest, files: written } = importedBundle(classifier, base, {
      name,
      version: options.expertVersion,
      description: options.description ?? `Classifies text by ${name}.`,
      licence: options.licence ?? NO_LICENCE_STATED,
      origin: options.origin,
      labels,
      date: today(),
    });
    const { digest } = await writeBundle(out, manifest, written);
    const { rank, alpha, factors } = classifier.adapter;
    const { headFrom } = classifier;
    createOutput(options.json).answer(
      { expert: name, folder: out, digest, rank, alpha, layers: factors.length, labels, head: headFrom },
      () => [
        `${out}: ${name}, lowrank over ${base.manifest.name}, rank ${rank}, ${factors.length} layers, ${labels.length} labels.`,
        `  head: ${headFrom}, on the L2-normalised mean of the token vectors`,
        '  Nothing was measured.',
        '',
        `  npx thalamus experts evaluate ${options.out} --data held-out.csv`,
        `  npx thalamus experts add ${options.out}        # to a running mesh`,
      ],
    );
  } finally {
    await tools.runtime.close();
  }
}

/** The names that Hugging Face gives to rows without one. */
function unnamed(rows: number): readonly string[] {
  return Array.from({ length: rows }, (_, row) => `LABEL_${row}`);
}
