import {
  float32Tensor,
  readSafetensors,
  writeSafetensors,
  type BundleFiles,
  type Digest,
  type OpenedBundle,
  type RouterManifest,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { headTensors } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import type { TrainingBase } from '../training-base.port.js';
import { requireEncoder } from './evaluate-router.js';
import { extendHeads, type ExtendedHeads } from './extend-heads.js';
import { featuresOf } from './fitted-features.js';
import { preparePrompts, type PrepareOptions } from './prepare-prompts.js';
import { openedRouter } from './opened-router.js';
import type { UnwrittenRouter } from './router-bundle.js';
import { propertiesOf } from './router-costs.js';
import type { RoutingRow, RoutingTable, TableModel } from './routing-table.js';
import { foldsOf, splitParts, type TableSplitRule } from './table-split.js';

/** What is added to which router model. */
export interface RouterExtension {
  readonly bundle: OpenedBundle<RouterManifest>;
  readonly base: TrainingBase;
  readonly table: RoutingTable;
  /** Name of the expert, as the table has it or as experts are named. */
  readonly expert: string;
  /** Most prompts of the table that the head is fitted on; all when absent. */
  readonly prompts?: number | undefined;
  readonly seed: number;
  /** Name and version of the result. */
  readonly name: string;
  readonly version: string;
  readonly date: string;
}

/** A router model with one candidate more, ready to be written. */
export interface ExtendedRouter extends UnwrittenRouter {
  readonly expert: string;
  /** Prompts that the head was fitted on. */
  readonly rows: number;
  /** Prompts of the table that are set aside, because the test part of the router model's rule holds them. */
  readonly setAside: number;
  readonly fitted: Omit<ExtendedHeads, 'heads'>;
}

/** Fewest prompts that a head is fitted on. */
export const MIN_EXTENSION_ROWS = 50;
const FOLDS = 5;
/** An isotonic map between these ends leaves losses as they are. */
const UNCHANGED = [-1e4, 1e4] as const;

/**
 * Adds an expert to a router model: one head is fitted on the expert's losses in a table. Everything else stays to the bit, the
 * predictions for the other candidates as well. Rows that the rule of the router model puts into its test part are not read.
 * @throws DATASET_INVALID for an expert that the router model has or the table has not, for other units, and for too few rows;
 *   BUNDLE_INVALID for another encoder; METHOD_UNSUPPORTED for a cascade
 */
export async function extendRouter(
  extension: RouterExtension,
  options: PrepareOptions = {},
): Promise<ExtendedRouter> {
  const { bundle, base, table, seed, name, version, date } = extension;
  const router = await openedRouter(bundle);
  const { manifest, heads, spec } = router;
  requireOneStage(manifest);
  requireEncoder(router, base);
  const { model, column } = modelOf(extension, manifest);
  const rule: TableSplitRule = manifest.split ?? { by: 'prompt', seed, validation: 0, test: 0 };
  const usable = table.rows.filter(({ losses }) => !Number.isNaN(losses[column]!));
  const parts = splitParts(usable, rule);
  const free = usable.filter((_, at) => parts[at] !== 'test');
  const rows = someOf(free, extension.prompts, seed);
  if (rows.length < MIN_EXTENSION_ROWS)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${table.set} has ${rows.length} prompts to fit a head for ${model.name} on, without the test part of ${manifest.name}; ${MIN_EXTENSION_ROWS} are needed. Measure more prompts.`,
    );
  const texts = rows.map(({ prompt }) => prompt);
  const kinds = spec.blocks.map(({ kind }) => kind);
  const features = featuresOf(await preparePrompts(base, texts, kinds, options), spec);
  const { heads: extended, ...fitted } = extendHeads(
    heads,
    {
      features,
      losses: Float64Array.from(rows, ({ losses }) => losses[column]!),
      folds: foldsOf(rows, rule, FOLDS),
    },
    manifest.calibration.coverage,
  );
  const files: Record<string, Uint8Array> = {};
  for (const { path } of manifest.files)
    if (path !== manifest.risk?.file) files[path] = await bundle.readFile(path);
  files[manifest.heads.file] = headFile(files[manifest.heads.file]!, extended);
  return {
    expert: model.expert,
    rows: rows.length,
    setAside: usable.length - free.length,
    fitted,
    files: files satisfies BundleFiles,
    manifest: {
      ...kept(manifest),
      name,
      version,
      description:
        `${manifest.description} ${model.expert} was added on ${rows.length} prompts of ${table.set}.`.slice(
          0,
          2000,
        ),
      candidates: [...manifest.candidates, candidateOf(model, table.digest, rows.length)],
      calibration: withInterval(manifest.calibration, model.expert, fitted.interval),
      trainingData: [
        ...manifest.trainingData,
        { name: table.set, licence: table.licence, origin: table.origin, rows: rows.length },
      ],
      evaluation: [
        {
          dataset: table.set,
          split: 'validation',
          metric: 'meanAbsoluteError',
          value: Number(fitted.meanError.toFixed(6)),
          n: rows.length,
          date,
        },
      ],
      releaseDate: date,
    },
  };
}

/** @throws METHOD_UNSUPPORTED for a cascade: when its second stage decides was fitted for the experts that it has */
function requireOneStage({ name, version, secondStage }: RouterManifest): void {
  if (!secondStage) return;
  throw new ThalamusError(
    'METHOD_UNSUPPORTED',
    `${name}@${version} is a cascade of two stages, to which no expert is added: when its second stage decides was fitted for the experts that it has. Extend a router model with the encoder fast or accurate, or train the cascade anew on a table with the results of all.`,
  );
}

function modelOf(
  { table, expert }: RouterExtension,
  manifest: RouterManifest,
): { model: TableModel; column: number } {
  const refuse = (reason: string): never => {
    throw new ThalamusError('DATASET_INVALID', reason);
  };
  const column = table.models.findIndex((model) => model.expert === expert || model.name === expert);
  const model = table.models[column];
  if (!model)
    return refuse(
      `${table.set} has no results of ${expert}; it has those of ${table.models.map(({ expert: known }) => known).join(', ')}. Name one of them with --expert, or measure it.`,
    );
  if (manifest.candidates.some((candidate) => candidate.expert === model.expert))
    refuse(
      `${manifest.name}@${manifest.version} has a head for ${model.expert} already; name another expert.`,
    );
  if (table.unit !== manifest.lossUnit)
    refuse(
      `${table.set} has losses in "${table.unit}" where ${manifest.name} predicts "${manifest.lossUnit}"; measure them alike.`,
    );
  return { model, column };
}

/** Rows by chance, in their order. */
function someOf(rows: readonly RoutingRow[], most: number | undefined, seed: number): readonly RoutingRow[] {
  if (most === undefined || rows.length <= most) return rows;
  const order = createRandom(seed).shuffle(Array.from(rows.keys()));
  return order
    .slice(0, most)
    .sort((a, b) => a - b)
    .map((at) => rows[at]!);
}

function candidateOf(
  model: TableModel,
  lossTable: Digest,
  rows: number,
): RouterManifest['candidates'][number] {
  return {
    expert: model.expert,
    version: model.version ?? '0',
    ...(model.digest === undefined ? {} : { digest: model.digest as Digest }),
    ...(model.expert === model.name ? {} : { model: model.name }),
    properties: { ...propertiesOf(model) },
    fittedOn: { lossTable, rows },
  };
}

function withInterval(
  calibration: RouterManifest['calibration'],
  expert: string,
  { lower, upper }: ExtendedHeads['interval'],
): RouterManifest['calibration'] {
  const { recalibration } = calibration;
  const [low, high] = UNCHANGED;
  return {
    ...calibration,
    intervals: [...calibration.intervals, { expert, lower, upper }],
    ...(recalibration
      ? {
          recalibration: [
            ...recalibration,
            { expert, kind: 'isotonic' as const, inputs: [low, high], values: [low, high] },
          ],
        }
      : {}),
  };
}

/** The file of the heads with their new tensors; others, such as centres of regions, stay as they are. */
function headFile(bytes: Uint8Array, heads: ExtendedHeads['heads']): Uint8Array {
  const { tensors, metadata } = readSafetensors(bytes);
  const changed = headTensors(heads).tensors.map(
    ({ name, shape, values }) => [name, float32Tensor(shape, values)] as const,
  );
  return writeSafetensors(Object.fromEntries([...tensors, ...changed]), metadata);
}

/** Without the list of files, which is made when the bundle is written, and without rows for bounds on the risk: they lack the new expert. */
function kept(manifest: RouterManifest): UnwrittenRouter['manifest'] {
  const fields: Partial<RouterManifest> = { ...manifest };
  delete fields.files;
  delete fields.risk;
  return fields as UnwrittenRouter['manifest'];
}
