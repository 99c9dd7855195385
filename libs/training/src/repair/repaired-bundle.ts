import { lowRankFiles, type EvaluationRow, type TrainingDataRow } from '@thalamus/bundle';
import type { Rate, SliceComparison } from '@thalamus/compatibility';
import type { ClassificationMetrics } from '../classification-metrics.js';
import type { TrainingEvent } from '../loop/train-loop.js';
import type { UnwrittenBundle } from '../methods/expert-bundle.js';
import type { HyperParameters } from '../methods/hyper-parameters.js';
import { trainingFiles } from '../methods/training-files.js';
import { evaluationRow, evaluationRows } from '../probe-bundle.js';
import type { TrainingBase } from '../training-base.port.js';
import type { ExpertVersion } from './check-repairable.js';
import type { RepairJudgement } from './judge-repair.js';
import { REPAIR_ARMS, REPAIR_TEMPERATURE, type RepairArmName } from './repair-arms.js';
import type { TrainedRepair } from './train-repair.js';

/** What a repaired bundle says besides its weights. */
export interface RepairFacts {
  readonly name: string;
  /** Decimal string. */
  readonly version: string;
  readonly description: string;
  /** SPDX identifier of the repaired expert. */
  readonly licence: string;
  /** The rows of the repair. */
  readonly data: TrainingDataRow;
  readonly datasets: { readonly validation: string; readonly test: string };
  readonly seed: number;
  /** Day of release, such as 2026-01-31. */
  readonly date: string;
}

/** What a repair gave. */
export interface RepairOutcome {
  readonly trained: TrainedRepair;
  readonly validation: ClassificationMetrics;
  readonly test: ClassificationMetrics;
  readonly judgement: RepairJudgement;
  readonly events: readonly TrainingEvent[];
}

/**
 * Bundle of a repaired expert: base, layers, rank, head and limits of the new version, so that it costs the same to serve. Its lineage
 * names both versions and the base; its figures hold the flips against the old version before and after. Equal results and facts give
 * equal bytes.
 */
export function repairedBundle(
  repair: {
    readonly arm: RepairArmName;
    readonly from: ExpertVersion;
    readonly to: ExpertVersion & { readonly base: TrainingBase };
    readonly settings: HyperParameters;
    readonly facts: RepairFacts;
  },
  { rank, alpha }: { readonly rank: number; readonly alpha: number },
  outcome: RepairOutcome,
): UnwrittenBundle {
  const { arm, from, to, settings, facts } = repair;
  const { base } = to;
  const like = to.expert.manifest;
  const { trained, validation, test, judgement, events } = outcome;
  const parent = ({ manifest, digest }: ExpertVersion['expert'] | TrainingBase) => ({
    name: manifest.name,
    version: manifest.version,
    digest,
  });
  const manifest = {
    ...like,
    name: facts.name,
    version: facts.version,
    description: facts.description,
    licence: facts.licence,
    trainingData: [...like.trainingData, facts.data],
    lineage: {
      recipe: recipeOf(arm, settings, trained, { from, to }),
      parents: [parent(to.expert), parent(from.expert), parent(base)],
      seed: facts.seed,
    },
    evaluation: [
      evaluationRow(
        facts.datasets.validation,
        'validation',
        'accuracy',
        validation.accuracy,
        validation.n,
        facts.date,
      ),
      ...evaluationRows(facts.datasets.test, 'test', test, facts.date),
      ...flipRows(judgement, facts),
    ],
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: facts.date,
  };
  const files = lowRankFiles({
    baseName: base.manifest.name,
    factors: trained.factors,
    rank,
    alpha,
    head: { task: 'text-classification', ...trained.head },
  });
  return { manifest, files: { ...files, ...trainingFiles(facts.name, events) } };
}

/** Flips against the old version: of the new one, of the control, of the repaired one. */
function flipRows(
  { before, after, continued }: RepairJudgement,
  { datasets, date }: RepairFacts,
): EvaluationRow[] {
  const row = (metric: string, { value, low, high }: Rate, { n }: SliceComparison): EvaluationRow => ({
    ...evaluationRow(datasets.test, 'test', metric, value, n, date),
    interval: [Number(low.toFixed(6)), Number(high.toFixed(6))],
  });
  return [
    row('negative-flip-rate', after.negativeFlips, after),
    row('positive-flip-rate', after.positiveFlips, after),
    row('negative-flip-rate-before', before.negativeFlips, before),
    ...(continued ? [row('negative-flip-rate-continued', continued.negativeFlips, continued)] : []),
  ];
}

function recipeOf(
  arm: RepairArmName,
  settings: HyperParameters,
  { outcome }: TrainedRepair,
  { from, to }: { readonly from: ExpertVersion; readonly to: ExpertVersion },
): string {
  const { epochs, rate, headRate, schedule, rowsPerBatch, maxTokens } = settings;
  const { rule, share, description } = REPAIR_ARMS[arm];
  const name = ({ expert: { manifest } }: ExpertVersion) => `${manifest.name}@${manifest.version}`;
  const mix = rule === undefined ? '' : `, temperature ${REPAIR_TEMPERATURE}, share ${share}`;
  return `repair ${arm} of ${name(to)} against ${name(from)}: learns from ${description}${mix}; AdamW, ${epochs} epochs, rate ${rate}, head ${headRate}, ${schedule}, batch ${rowsPerBatch}, ${maxTokens} tokens, ${outcome.state.optimiser.step} steps`;
}
