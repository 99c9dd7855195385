import { basename } from 'node:path';
import { z } from 'zod';
import { PROBLEM_TYPES, type ExpertManifest, type Pooling } from '../expert-manifest.js';
import { refusedFile } from '../low-rank-format.js';
import type { Task } from '../manifest-fields.js';
import { needFile, readJson, type ImportFolder } from './import-folder.js';
import type { ImportedGraph } from './imported-graph.js';
import { checkTextGraph, inspectFile, noticesOf } from './inspect-export.js';
import { graphsOf, MODEL_CONFIG } from './recognise-form.js';
import { readSentenceModules } from './sentence-modules.js';

/** What may be said of an export besides its files. */
export interface ExportWishes {
  /** Which graph, by its path in the folder. */
  readonly graph?: string | undefined;
  /** Instead of `id2label`. */
  readonly labels?: readonly string[] | undefined;
  readonly pooling?: Pooling | undefined;
  readonly maxTokens?: number | undefined;
}

const modelConfig = z.looseObject({
  architectures: z.array(z.string()).nullish(),
  model_type: z.string().nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
  problem_type: z.string().nullish(),
  max_position_embeddings: z.number().int().positive().nullish(),
  vocab_size: z.number().int().positive().nullish(),
  hidden_size: z.number().int().positive().nullish(),
  pad_token_id: z.number().int().nonnegative().nullish(),
});
type ModelConfig = z.infer<typeof modelConfig>;

const tokenizerConfig = z.looseObject({ model_max_length: z.number().positive().nullish() });
const sentenceConfig = z.looseObject({ max_seq_length: z.number().int().positive().nullish() });

const TOKENIZER = 'tokenizer.json';
const SAVE_TOKENIZER =
  'the tokenizer must be the fast one: AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER) writes it';

/** Families that count positions from the id after that of padding, so that the table's first ones are never used. */
const OFFSET_POSITIONS = new Set([
  'roberta',
  'xlm-roberta',
  'xlm-roberta-xl',
  'camembert',
  'mpnet',
  'roberta-prelayernorm',
]);
/** transformers writes 1e30 where a tokenizer knows no longest text. */
const NO_LIMIT = 1e9;

/**
 * A folder as `optimum-cli export onnx` writes it, or one of a hub that holds `onnx/model.onnx`.
 * @throws BUNDLE_INVALID naming file and field, GRAPH_INVALID
 */
export async function readHuggingFaceExport(
  folder: ImportFolder,
  wishes: ExportWishes,
): Promise<ImportedGraph> {
  const config = await readWith(folder, MODEL_CONFIG, modelConfig);
  const task = taskOf(folder, config);
  const graph = chooseGraph(folder, wishes.graph);
  const tokenizer = needFile(folder, TOKENIZER, SAVE_TOKENIZER);
  const sentence = task === 'feature-extraction' ? await readSentenceModules(folder) : undefined;
  const maxTokens = wishes.maxTokens ?? (await longestText(folder, config));
  const { summary, files } = await inspectFile(folder, graph);
  checkTextGraph(folder, graph, task, summary);
  if (task === 'text-classification') refuseRegression(folder, config);
  const pooling = wishes.pooling ?? sentence?.pooling;
  const notNormalised = sentence !== undefined && !sentence.isNormalised;
  return {
    form: 'onnx-export',
    graph,
    suggestedName: basename(folder.path),
    task,
    takesTexts: true,
    ...(task === 'text-classification' ? classesOf(folder, config, wishes.labels) : {}),
    ...(task === 'feature-extraction' && pooling !== undefined ? { pooling } : {}),
    maxTokens,
    flopsPerToken:
      2 * Math.max(0, summary.parameterCount - embeddingElements(config, summary.parameterCount)),
    summary,
    files: { ...files, [TOKENIZER]: { from: tokenizer }, ...noticesOf(folder) },
    notes: notNormalised
      ? ['The model does not normalise its vectors; the host does unless a request says normalize=false.']
      : [],
  };
}

/** Task by the class of the model, as transformers names it. */
function taskOf(folder: ImportFolder, { architectures }: ModelConfig): Task {
  const [architecture = ''] = architectures ?? [];
  if (architecture.endsWith('ForSequenceClassification')) return 'text-classification';
  if (architecture.endsWith('ForMaskedLM')) return 'fill-mask';
  if (/^[A-Za-z0-9]+Model$/.test(architecture)) return 'feature-extraction';
  throw refusedFile(
    folder.path,
    MODEL_CONFIG,
    'architectures',
    architecture === ''
      ? 'names no architecture'
      : `names ${architecture}, which is not served: *ForSequenceClassification, *ForMaskedLM and *Model are`,
  );
}

function chooseGraph(folder: ImportFolder, wanted: string | undefined): string {
  const graphs = graphsOf(folder);
  if (wanted !== undefined) {
    if (graphs.includes(wanted)) return wanted;
    throw refusedFile(folder.path, wanted, '', `is no graph of the folder, which has ${graphs.join(', ')}`);
  }
  const [graph = '', ...others] = graphs;
  if (others.length > 0)
    throw refusedFile(
      folder.path,
      'the folder',
      '',
      `holds ${graphs.length} graphs (${graphs.slice(0, 12).join(', ')}); choose one with --graph ${graph}`,
    );
  return graph;
}

function refuseRegression(folder: ImportFolder, { problem_type: problem }: ModelConfig): void {
  if (problem === undefined || problem === null || PROBLEM_TYPES.some((known) => known === problem)) return;
  throw refusedFile(
    folder.path,
    MODEL_CONFIG,
    'problem_type',
    `is ${problem}, which is not served: ${PROBLEM_TYPES.join(' and ')} are`,
  );
}

function classesOf(
  folder: ImportFolder,
  { id2label, problem_type: problem }: ModelConfig,
  given: readonly string[] | undefined,
): { labels: readonly string[]; problemType?: ExpertManifest['problemType'] } {
  const problemType = PROBLEM_TYPES.find((known) => known === problem);
  return {
    labels: given ?? labelsOf(folder, id2label ?? {}),
    ...(problemType === undefined ? {} : { problemType }),
  };
}

function labelsOf(folder: ImportFolder, id2label: Readonly<Record<string, string>>): readonly string[] {
  const refuse = (description: string) =>
    refusedFile(folder.path, MODEL_CONFIG, 'id2label', `${description}; correct it, or give --labels`);
  const count = Object.keys(id2label).length;
  if (count < 2) throw refuse(`names ${count} labels, where a classifier has two or more`);
  const labels = Array.from({ length: count }, (_, row) => {
    const label = id2label[String(row)];
    if (label === undefined) throw refuse(`has no label for row ${row} of ${count}`);
    if (label.trim() === '') throw refuse(`has an empty label for row ${row}`);
    return label;
  });
  const twice = labels.find((label, row) => labels.indexOf(label) !== row);
  if (twice !== undefined) throw refuse(`has the label "${twice}" twice`);
  return labels;
}

/** Tokens of the longest text: the least of what model, tokenizer and sentence-transformers say. */
async function longestText(folder: ImportFolder, config: ModelConfig): Promise<number> {
  const { model_max_length: ofTokenizer } = await readWith(folder, 'tokenizer_config.json', tokenizerConfig);
  const { max_seq_length: ofSentences } = await readWith(folder, 'sentence_bert_config.json', sentenceConfig);
  const { max_position_embeddings: positions, model_type: family, pad_token_id: padding } = config;
  const unused = OFFSET_POSITIONS.has(family ?? '') ? (padding ?? 1) + 1 : 0;
  const ofModel = positions ? positions - unused : undefined;
  const known = [ofTokenizer, ofSentences, ofModel].filter(
    (length): length is number => typeof length === 'number' && length < NO_LIMIT,
  );
  const least = Math.floor(Math.min(...known));
  if (least >= 1 && known.length > 0) return least;
  throw refusedFile(
    folder.path,
    MODEL_CONFIG,
    'max_position_embeddings',
    'is missing, and no other file says how many tokens a text may have; give --max-tokens',
  );
}

/** Elements of the tables of words and positions, which a token looks up and does not multiply with; 0 where unknown. */
function embeddingElements(config: ModelConfig, all: number): number {
  const { vocab_size: words, max_position_embeddings: positions, hidden_size: width } = config;
  const elements = ((words ?? 0) + (positions ?? 0)) * (width ?? 0);
  return elements < all ? elements : 0;
}

async function readWith<T>(folder: ImportFolder, file: string, schema: z.ZodType<T>): Promise<T> {
  const result = schema.safeParse((await readJson(folder, file)) ?? {});
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw refusedFile(
    folder.path,
    file,
    issue?.path.map(String).join('.') ?? '',
    issue?.message ?? 'is malformed',
  );
}
