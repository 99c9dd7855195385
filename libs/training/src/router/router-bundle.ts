import {
  float16Tensor,
  float32Tensor,
  readSafetensors,
  requireFloat32,
  writeSafetensors,
  type BundleFiles,
  type Digest,
  type OpenedBundle,
  type RouterManifest,
} from '@thalamus/bundle';
import {
  calibratedLosses,
  encoderFromTensors,
  encoderTensors,
  featureWidth,
  headsFromTensors,
  headTensors,
  predictLosses,
  regionIds,
  riskRowsFromTensors,
  riskTensors,
  type FeatureSpec,
  type LossHeads,
  type NamedTensor,
  type Recalibration,
  type RiskRows,
} from '@thalamus/routing';
import type { TrainingBase } from '../training-base.port.js';
import { choiceReport } from './choice-report.js';
import { costScalesOf, propertiesOf } from './router-costs.js';
import type { RoutingTable } from './routing-table.js';
import { COVERAGE, type TrainedRouter } from './train-router.js';

/** Names of the files of a router model. */
const FILES = {
  heads: 'heads.safetensors',
  encoder: 'encoder.safetensors',
  tokenizer: 'tokenizer.json',
  choice: 'choice.json',
  risk: 'risk.safetensors',
};
/** Tensor of the head file with the centres of regions. */
const REGIONS = 'regions.centroids';
/** Version of a model that no version of the registry is named for. */
const UNREGISTERED = '0';
/** Weights of a cost that words stand for, in the loss unit. */
const LEVELS: RouterManifest['verbalLevels'] = { low: 0.05, medium: 0.2, high: 0.8 };

/** Facts that the table and the fit do not tell. */
export interface RouterFacts {
  readonly name: string;
  readonly version: string;
  readonly task: RouterManifest['task'];
  readonly date: string;
}

/** A router model that is ready to be written. */
export interface UnwrittenRouter {
  readonly manifest: Omit<RouterManifest, 'files'>;
  readonly files: BundleFiles;
}

/** The bundle of a trained router. */
export function routerBundle(
  trained: TrainedRouter,
  table: RoutingTable,
  base: TrainingBase,
  facts: RouterFacts,
): UnwrittenRouter {
  const { spec, heads, split, counts, choice } = trained;
  const { facts: headFacts, tensors } = headTensors(heads);
  const { centroids } = trained.calibration;
  const { riskRows } = trained;
  const rows = counts.train + counts.validation;
  const names = table.models.map(({ expert }) => expert);
  const manifest: UnwrittenRouter['manifest'] = {
    schemaVersion: 1,
    name: facts.name,
    version: facts.version,
    task: facts.task,
    lossUnit: table.unit,
    description: `Predicts what ${names.length} models lose on a prompt; ${trained.encoder} encoder, fitted on ${table.set}.`,
    encoder: {
      name: base.manifest.name,
      digest: base.digest,
      maxTokens: base.manifest.maxTokens,
      dimension: featureWidth(spec),
      inputs: spec.blocks.map((block) => ({ ...block })),
      file: FILES.encoder,
      tokenizer: FILES.tokenizer,
    },
    candidates: table.models.map((model) => ({
      expert: model.expert,
      version: model.version ?? UNREGISTERED,
      ...(model.digest === undefined ? {} : { digest: model.digest as Digest }),
      ...(model.expert === model.name ? {} : { model: model.name }),
      properties: { ...propertiesOf(model) },
      fittedOn: { lossTable: table.digest, rows },
    })),
    heads: {
      ...headFacts,
      ...(headFacts.parts ? { parts: headFacts.parts.map((part) => ({ ...part })) } : {}),
      file: FILES.heads,
    } as RouterManifest['heads'],
    costScales: costScalesOf(table.models),
    verbalLevels: LEVELS,
    ...calibrationFields(trained),
    split: { ...split, fitted: ['train', 'validation'] },
    baselines: { bestSingle: names[trained.bestSingle]!, majority: names[trained.majority]! },
    risk: { file: FILES.risk, rows: rowsOf(riskRows), bound: riskRows.bound },
    choice: FILES.choice,
    licence: base.manifest.licence,
    trainingData: [{ name: table.set, licence: table.licence, origin: table.origin, rows }],
    evaluation: [
      {
        dataset: table.set,
        split: 'validation',
        metric: 'regret',
        value: Number(choice.chosen.regret.toFixed(6)),
        n: rows,
        date: facts.date,
      },
    ],
    releaseDate: facts.date,
  };
  return {
    manifest,
    files: {
      [FILES.heads]: fileOf([...tensors, ...regionTensors(centroids, heads.dimension)]),
      [FILES.encoder]: fileOf(encoderTensors(spec)),
      [FILES.tokenizer]: base.tokenizerJson,
      [FILES.risk]: fileOf(riskTensors(riskRows)),
      [FILES.choice]: new TextEncoder().encode(`${JSON.stringify(choiceReport(trained), null, 2)}\n`),
    },
  };
}

/** What the manifest says of calibration and regions. */
function calibrationFields({
  calibration: { calibration, regionCount },
  experts,
}: TrainedRouter): Pick<RouterManifest, 'calibration' | 'regionCount'> {
  return {
    calibration: {
      coverage: COVERAGE,
      intervals: calibration.intervals.map(({ lower, upper, scales }, k) => ({
        expert: experts[k]!,
        lower,
        upper,
        ...(scales ? { scales: [...scales] } : {}),
      })),
      ...(calibration.recalibration
        ? { recalibration: calibration.recalibration.map((map, k) => namedMap(experts[k]!, map)) }
        : {}),
    },
    ...(regionCount > 0 ? { regionCount } : {}),
  };
}

/** A map of the losses of a candidate as the manifest has it. */
function namedMap(expert: string, map: Recalibration) {
  if (map.kind === 'beta') return { expert, ...map };
  return { expert, kind: map.kind, inputs: [...map.inputs], values: [...map.values] };
}

function regionTensors(centroids: Float32Array | undefined, dimension: number): NamedTensor[] {
  if (!centroids) return [];
  const shape = [centroids.length / dimension, dimension];
  return [{ name: REGIONS, shape, values: centroids, precision: 'float32' }];
}

const rowsOf = ({ measured, candidates }: RiskRows) => measured.length / candidates;

/** A router model that is ready to predict. */
export interface OpenedRouter {
  readonly manifest: RouterManifest;
  readonly digest: Digest;
  readonly heads: LossHeads;
  readonly spec: FeatureSpec;
  /** Centres of regions, [count, dimension]. */
  readonly centroids: Float32Array | undefined;
  /** By which bounds on the risk are certified. */
  readonly riskRows: RiskRows | undefined;
}

/** Calibrated losses of prompts, and the region of each, from their vectors [prompts, dimension]. */
export function predictedBy({ manifest, heads, centroids }: OpenedRouter, vectors: Float32Array) {
  const raw = predictLosses(heads, vectors);
  return {
    raw,
    calibrated: calibratedLosses(raw, manifest.candidates.length, manifest.calibration),
    regions: centroids
      ? regionIds(vectors, centroids, heads.dimension)
      : new Uint32Array(vectors.length / heads.dimension),
  };
}

/**
 * Heads and parts of an opened bundle. The parts of a router model whose encoder is a graph alone are that graph's vector.
 * @throws BUNDLE_INVALID when a tensor is absent or of another shape
 */
export async function openedRouter(bundle: OpenedBundle<RouterManifest>): Promise<OpenedRouter> {
  const { manifest, digest } = bundle;
  const { dimension, inputs, file } = manifest.encoder;
  const headFile = readSafetensors(await bundle.readFile(manifest.heads.file));
  const heads = headsFromTensors(
    manifest.heads,
    { dimension, candidates: manifest.candidates.length },
    (name, shape) => requireFloat32(headFile, name, shape),
  );
  const blocks = inputs ?? [{ kind: 'sentence' as const, width: dimension, weight: 1 }];
  const tables = file === undefined ? undefined : readSafetensors(await bundle.readFile(file));
  const spec = encoderFromTensors({ blocks }, (name, shape) =>
    requireFloat32(tables ?? { tensors: new Map(), metadata: {} }, name, shape),
  );
  const centroids = headFile.tensors.has(REGIONS)
    ? requireFloat32(headFile, REGIONS, [-1, dimension])
    : undefined;
  return { manifest, digest, heads, spec, centroids, riskRows: await readRiskRows(bundle) };
}

/** Rows for bounds on the risk; undefined for a router model without any. @throws BUNDLE_INVALID */
async function readRiskRows(bundle: OpenedBundle<RouterManifest>): Promise<RiskRows | undefined> {
  const { risk, candidates } = bundle.manifest;
  if (!risk) return undefined;
  const file = readSafetensors(await bundle.readFile(risk.file));
  return riskRowsFromTensors({ ...risk, candidates: candidates.length }, (name, shape) =>
    requireFloat32(file, name, shape),
  );
}

function fileOf(tensors: readonly NamedTensor[]): Uint8Array {
  return writeSafetensors(
    Object.fromEntries(
      tensors.map(({ name, shape, values, precision }) => [
        name,
        precision === 'float16' ? float16Tensor(shape, values) : float32Tensor(shape, values),
      ]),
    ),
  );
}
