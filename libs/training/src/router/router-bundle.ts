import {
  float16Tensor,
  float32Tensor,
  writeSafetensors,
  type BundleFiles,
  type Digest,
  type RouterManifest,
} from '@thalamus/bundle';
import {
  encoderTensors,
  featureWidth,
  headTensors,
  riskTensors,
  type FeatureSpec,
  type LossHeads,
  type LossInterval,
  type NamedTensor,
  type Recalibration,
  type RiskRows,
} from '@thalamus/routing';
import type { TrainingBase } from '../training-base.port.js';
import { choiceReport } from './choice-report.js';
import { REGIONS } from './opened-router.js';
import { costScalesOf, propertiesOf } from './router-costs.js';
import type { RoutingTable } from './routing-table.js';
import { COVERAGE, type TrainedRouter } from './train-router.js';

/** Names of the files of a router model. */
const FILES = {
  heads: 'heads.safetensors',
  secondHeads: 'second-heads.safetensors',
  encoder: 'encoder.safetensors',
  tokenizer: 'tokenizer.json',
  choice: 'choice.json',
  risk: 'risk.safetensors',
};
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
  const { spec, heads, split, counts, riskRows, second } = trained;
  const { tensors } = headTensors(heads);
  const { centroids } = trained.calibration;
  const rows = counts.train + counts.validation;
  const names = table.models.map(({ expert }) => expert);
  const manifest: UnwrittenRouter['manifest'] = {
    schemaVersion: 1,
    name: facts.name,
    version: facts.version,
    task: facts.task,
    lossUnit: table.unit,
    description: descriptionOf(trained, table),
    encoder: {
      name: base.manifest.name,
      digest: base.digest,
      maxTokens: base.manifest.maxTokens,
      dimension: featureWidth(spec),
      inputs: inputsOf(spec),
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
    heads: headsField(heads, FILES.heads),
    ...(second ? { secondStage: secondStageField(second, names) } : {}),
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
        value: Number((second?.thresholds ?? trained.choice).chosen.regret.toFixed(6)),
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
      ...(second ? { [FILES.secondHeads]: fileOf(headTensors(second.heads).tensors) } : {}),
      [FILES.encoder]: fileOf(encoderTensors(spec)),
      [FILES.tokenizer]: base.tokenizerJson,
      [FILES.risk]: fileOf(riskTensors(riskRows)),
      [FILES.choice]: new TextEncoder().encode(`${JSON.stringify(choiceReport(trained), null, 2)}\n`),
    },
  };
}

function descriptionOf({ encoder, experts, margin }: TrainedRouter, { set }: RoutingTable): string {
  const what = `Predicts what ${experts.length} models lose on a prompt; ${encoder} encoder, fitted on ${set}.`;
  if (!margin) return what;
  const preferred = experts[margin.preferred] ?? '';
  return `${what} Prompts go to ${preferred} unless another is better by more than ${margin.chosen.margin}, which the predictions of all others hold.`;
}

const inputsOf = ({ blocks }: FeatureSpec) => blocks.map((block) => ({ ...block }));

function headsField(heads: LossHeads, file: string): RouterManifest['heads'] {
  const { parts, ...facts } = headTensors(heads).facts;
  return {
    ...facts,
    ...(parts ? { parts: parts.map((part) => ({ ...part })) } : {}),
    file,
  };
}

function secondStageField(
  { spec, heads, gate }: NonNullable<TrainedRouter['second']>,
  experts: readonly string[],
): RouterManifest['secondStage'] {
  return {
    dimension: featureWidth(spec),
    inputs: inputsOf(spec),
    heads: headsField(heads, FILES.secondHeads),
    threshold: gate.threshold,
    margin: gate.margin,
    intervals: namedIntervals(gate.intervals, experts),
  };
}

function namedIntervals(intervals: readonly LossInterval[], experts: readonly string[]) {
  return intervals.map(({ lower, upper, scales }, k) => ({
    expert: experts[k]!,
    lower,
    upper,
    ...(scales ? { scales: [...scales] } : {}),
  }));
}

/** What the manifest says of calibration and regions. */
function calibrationFields({
  calibration: { calibration, regionCount },
  experts,
}: TrainedRouter): Pick<RouterManifest, 'calibration' | 'regionCount'> {
  return {
    calibration: {
      coverage: COVERAGE,
      intervals: namedIntervals(calibration.intervals, experts),
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
