import {
  MANIFEST_SCHEMA_VERSION,
  type EvaluationRow,
  type ExpertManifest,
  type TrainingDataRow,
} from '@thalamus/bundle';
import { combinedLicence, TWIN_VALUES, type MergedGraph } from '@thalamus/model-merge';
import { figure, FIGURES, WHOLE } from '../domain/figures.js';
import type { ParityReport } from './parity-tally.js';
import type { MakingParent, MakingTask } from './composition-maker.port.js';
import type { FittedRouter } from './fit-router.js';

/** A parent with its manifest. */
export interface DescribedParent extends MakingParent {
  readonly bundle: { readonly manifest: ExpertManifest };
}

/** What came of making a composition. */
export interface MadeParts {
  readonly graph: MergedGraph;
  readonly router: FittedRouter;
  readonly report: ParityReport;
  /** Constant elements of the graph. */
  readonly parameterCount: number;
}

/** The manifest of a composition: where it comes from, how it fares on each parent's held-out rows, under which licence. */
export function describeComposition(
  task: MakingTask,
  base: ExpertManifest,
  parents: readonly DescribedParent[],
  made: MadeParts,
): Omit<ExpertManifest, 'files'> {
  const manifests = parents.map(({ bundle }) => bundle.manifest);
  const { codeVersion, ...identity } = task.result;
  return {
    schemaVersion: MANIFEST_SCHEMA_VERSION,
    ...identity,
    kind: 'twin',
    task: 'text-classification',
    description: `One graph of ${made.graph.parents.join(', ')} that chooses among them for each text.`.slice(
      0,
      2000,
    ),
    labels: [...made.graph.labels],
    inputs: [
      ...[TWIN_VALUES.inputIds, TWIN_VALUES.attentionMask].map((name) => ({
        name,
        dataType: 'int64',
        shape: ['batch', 'sequence'],
      })),
      { name: TWIN_VALUES.task, dataType: 'int64', shape: ['batch'] },
    ],
    maxTokens: base.maxTokens,
    parameterCount: made.parameterCount,
    flopsPerToken: base.flopsPerToken,
    precision: base.precision,
    licence: combinedLicence([base, ...manifests].map(({ licence }) => licence)),
    trainingData: trainingData(parents, made.router),
    lineage: {
      recipe: task.recipe,
      parents: task.parents.map(({ name, version, digest }) => ({ name, version, digest })),
      seed: task.seed,
      codeVersion,
    },
    evaluation: evaluation(task, made.router, made.report),
    trust: {
      signed: false,
      scanned: base.trust.scanned && manifests.every(({ trust }) => trust.scanned),
      backdoorTested: false,
    },
  };
}

/** What the parents were fitted on, and what the router was. */
function trainingData(parents: readonly DescribedParent[], router: FittedRouter): TrainingDataRow[] {
  const own = parents.flatMap(({ bundle }) => bundle.manifest.trainingData);
  const routed = parents.map(({ name, train }) => ({
    name: `router: ${train.map(({ dataset }) => dataset).join(', ')}`,
    licence: combinedLicence(train.map(({ licence }) => licence)),
    origin: [...new Set(train.map(({ origin }) => origin))].join('; '),
    rows: router.rows.get(name) ?? 0,
  }));
  return [...own, ...routed];
}

function evaluation(task: MakingTask, router: FittedRouter, report: ParityReport): EvaluationRow[] {
  const date = task.result.releaseDate;
  const judged = report.parents.filter(({ n }) => n > 0);
  const sum = (read: (parent: ParityReport['parents'][number]) => number) =>
    judged.reduce((total, parent) => total + read(parent), 0);
  const n = sum((parent) => parent.n);
  const whole = (metric: string, value: number, rows: number, split: EvaluationRow['split'] = 'test') =>
    figure({ dataset: WHOLE, metric, split }, value, rows, date);
  return [
    ...(n === 0
      ? []
      : [
          whole(FIGURES.accuracy, sum(({ rightRouted }) => rightRouted) / n, n),
          whole(FIGURES.routerAccuracy, sum(({ routedHere }) => routedHere) / n, n),
        ]),
    whole(FIGURES.routerValidationAccuracy, router.validationAccuracy, router.validationRows, 'validation'),
    whole(FIGURES.parity, report.maxAbs, report.n, n === 0 ? 'train' : 'test'),
    ...judged.flatMap((parent) => {
      const row = (metric: string, count: number) =>
        figure({ dataset: parent.name, metric, split: 'test' }, count / parent.n, parent.n, date);
      return [
        row(FIGURES.accuracy, parent.rightRouted),
        row(FIGURES.parentAccuracy, parent.rightAlone),
        row(FIGURES.accuracyLoss, parent.rightAlone - parent.rightRouted),
      ];
    }),
  ];
}
