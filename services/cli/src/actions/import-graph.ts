import {
  importedGraphManifest,
  readImportedGraph,
  writeBundle,
  type ImportFolder,
  type ImportForm,
} from '@thalamus/bundle';
import { POOLINGS } from '@thalamus/bundle';
import { createOutput } from '../output.js';
import { tryGraph } from '../training/try-graph.js';
import { licenceOfCard } from '../training/model-card.js';
import { labelsOf, nameOf, onlyFor, today, usage, type ImportOptions } from './import-options.js';

const MODELS = 'a LoRA adapter of PEFT';

/**
 * Turns an ONNX export of Hugging Face or a model of an OIP repository into a `full` bundle. All is read, checked and run once
 * before the folder of the bundle is made.
 * @throws BUNDLE_INVALID naming file and field, GRAPH_INVALID, CONFIG_INVALID
 */
export async function importGraph(
  folder: ImportFolder,
  form: Exclude<ImportForm, { kind: 'peft' }>,
  out: string,
  options: ImportOptions,
): Promise<void> {
  onlyFor(MODELS, { base: options.base, head: options.head });
  if (form.kind === 'model-repository')
    onlyFor('an ONNX export that reads texts', {
      labels: options.labels,
      pooling: options.pooling,
      'max-tokens': options.maxTokens,
    });
  const found = await readImportedGraph(folder, form, {
    graph: options.graph,
    labels: options.labels === undefined ? undefined : labelsOf(options.labels),
    pooling: poolingOf(options.pooling),
    maxTokens: options.maxTokens,
  });
  const name = nameOf(options.name, found.suggestedName);
  const licence = options.licence ?? (await licenceOfCard(folder));
  const manifest = importedGraphManifest(found, {
    name,
    version: options.expertVersion,
    description: options.description ?? `${DOES[found.task]}: ${name}.`,
    licence,
    origin: options.origin,
    date: today(),
  });
  await tryGraph(found);
  const { digest } = await writeBundle(out, manifest, found.files);
  const { task, labels, maxTokens, graph, notes, takesTexts, summary } = found;
  const takes = takesTexts ? 'texts' : 'tensors';
  createOutput(options.json).answer(
    {
      ...{ expert: name, folder: out, digest, form: found.form, graph, task, takes, licence, notes },
      ...(labels === undefined ? {} : { labels }),
      ...(takesTexts ? { maxTokens } : {}),
      parameters: summary.parameterCount,
    },
    () => [
      `${out}: ${name}, ${task}${labels ? ` with ${labels.length} labels` : ''}, takes ${takes}${takesTexts ? ` of at most ${maxTokens} tokens` : ''}.`,
      `  graph: ${graph}, ${summary.parameterCount} parameters; licence: ${licence}`,
      ...notes.map((note) => `  ${note}`),
      '  Nothing was measured.',
      '',
      `  npx thalamus experts add ${options.out}        # to a running mesh`,
    ],
  );
}

const DOES = {
  'text-classification': 'Classifies texts',
  'fill-mask': 'Fills masked words',
  'feature-extraction': 'Turns its input into vectors',
  'text-generation': 'Writes texts',
} as const;

function poolingOf(given: string | undefined) {
  const known = POOLINGS.find((pooling) => pooling === given);
  if (given !== undefined && known === undefined)
    throw usage(`--pooling: "${given}" is none of ${POOLINGS.join(', ')}.`);
  return known;
}
