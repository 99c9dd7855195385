import type { GraphSummary } from '@thalamus/onnx-graph';
import { MANIFEST_SCHEMA_VERSION, type Task } from '../manifest-fields.js';
import type { ExpertManifest, Pooling } from '../expert-manifest.js';
import type { CopiedFile } from '../write-bundle.js';

/** A graph that was found and checked, with all that its manifest needs to say. */
export interface ImportedGraph {
  readonly form: 'onnx-export' | 'model-repository';
  /** Path of the graph in the folder that was imported. */
  readonly graph: string;
  /** Name that the folder suggests; it may be none of an expert. */
  readonly suggestedName: string;
  readonly task: Task;
  /** Whether it takes texts; if not, the tensors of the graph. */
  readonly takesTexts: boolean;
  readonly labels?: readonly string[];
  readonly problemType?: ExpertManifest['problemType'];
  readonly pooling?: Pooling;
  readonly maxTokens: number;
  readonly flopsPerToken: number;
  readonly summary: GraphSummary;
  /** Files of the bundle by their path in it. */
  readonly files: Readonly<Record<string, CopiedFile>>;
  /** What the folder has and the expert has not, for people. */
  readonly notes: readonly string[];
}

/** What is said of an imported expert that its graph does not say. */
export interface GraphFacts {
  readonly name: string;
  /** Decimal string. */
  readonly version: string;
  readonly description: string;
  /** SPDX identifier. */
  readonly licence: string;
  /** Where the model comes from. */
  readonly origin: string;
  /** Day of release, such as 2026-01-31. */
  readonly date: string;
}

const FORMS = { 'onnx-export': 'ONNX export', 'model-repository': 'model repository' } as const;

/** How the weights of a graph are stored. */
function precisionOf({ weightType, parameterCount }: GraphSummary): ExpertManifest['precision'] {
  switch (weightType) {
    case 'float16':
    case 'bfloat16':
      return weightType;
    case 'int8':
    case 'uint8':
      return 'int8';
    case undefined:
      return parameterCount > 0 ? 'int4' : 'float32';
    default:
      return 'float32';
  }
}

/** The manifest of a `full` bundle. Training data is not known and nothing was measured, so both lists are empty. */
export function importedGraphManifest(
  found: ImportedGraph,
  facts: GraphFacts,
): Omit<ExpertManifest, 'files'> {
  const { task, labels, problemType, pooling, maxTokens, flopsPerToken, summary } = found;
  const { name, version, description, licence, origin, date } = facts;
  return {
    schemaVersion: MANIFEST_SCHEMA_VERSION,
    ...{ name, version, description, licence, task, maxTokens, flopsPerToken },
    kind: 'full',
    ...(labels === undefined ? {} : { labels: [...labels] }),
    ...(problemType === undefined ? {} : { problemType }),
    ...(pooling === undefined ? {} : { pooling }),
    parameterCount: summary.parameterCount,
    precision: precisionOf(summary),
    trainingData: [],
    lineage: { recipe: `import: ${FORMS[found.form]}, ${found.graph}; origin: ${origin}`, parents: [] },
    evaluation: [],
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: date,
  };
}
