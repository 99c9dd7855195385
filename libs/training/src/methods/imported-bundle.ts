import { lowRankFiles, MANIFEST_SCHEMA_VERSION, type PeftClassifier } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { TrainingBase } from '../training-base.port.js';
import type { UnwrittenBundle } from './expert-bundle.js';

/** What is said of an imported expert; nothing of it can be read from the adapter. */
export interface ImportFacts {
  readonly name: string;
  /** Decimal string. */
  readonly version: string;
  readonly description: string;
  /** SPDX identifier. */
  readonly licence: string;
  /** Where the adapter comes from. */
  readonly origin: string;
  /** In the order of the head's rows. */
  readonly labels: readonly string[];
  /** Day of release, such as 2026-01-31. */
  readonly date: string;
}

/**
 * A `lowrank` bundle of an imported adapter. Its training data is not known and nothing was measured, so both lists are empty.
 * @throws CONFIG_INVALID unless there is one label for each row of the head
 */
export function importedBundle(
  { adapter, head }: PeftClassifier,
  base: Pick<TrainingBase, 'manifest' | 'digest'>,
  facts: ImportFacts,
): UnwrittenBundle {
  const rows = head.bias.length;
  const { labels, date } = facts;
  if (labels.length !== rows || new Set(labels).size !== rows)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${labels.length} labels (${new Set(labels).size} different) were given for a head of ${rows} rows; name ${rows} different labels, in the order of the rows.`,
    );
  const { factors, rank, alpha } = adapter;
  const { manifest: of, digest } = base;
  const branchCount = factors.reduce((sum, { inputs, outputs }) => sum + rank * (inputs + outputs), 0);
  return {
    manifest: {
      schemaVersion: MANIFEST_SCHEMA_VERSION,
      name: facts.name,
      version: facts.version,
      kind: 'lowrank',
      task: 'text-classification',
      description: facts.description,
      base: { name: of.name, digest },
      labels: [...labels],
      maxTokens: of.maxTokens,
      parameterCount: of.parameterCount + head.weights.length + rows + branchCount,
      flopsPerToken: of.flopsPerToken + 2 * branchCount,
      precision: 'float16',
      licence: facts.licence,
      trainingData: [],
      lineage: {
        recipe: `import: LoRA of PEFT, rank ${rank}, alpha ${alpha}; origin: ${facts.origin}`,
        parents: [{ name: of.name, version: of.version, digest }],
      },
      evaluation: [],
      trust: { signed: false, scanned: true, backdoorTested: false },
      releaseDate: date,
    },
    files: lowRankFiles({ baseName: of.name, factors, rank, alpha, head }),
  };
}
