import {
  encodeRouterEvaluation,
  ROUTER_EVALUATION,
  type OpenedBundle,
  type RouterEvaluationReport,
  type RouterManifest,
} from '@thalamus/bundle';
import { tryRouter, type EvaluatedRouter, type RouterEvaluation } from '../evaluate-router.js';
import { judgeRouter } from '../judge-router.js';
import { pickRows } from '../loss-matrix.js';
import { preparePrompts, type PrepareOptions } from '../prepare-prompts.js';
import type { UnwrittenRouter } from '../router-bundle.js';
import { evaluationReport } from './evaluation-report.js';
import { mapRows, type PromptSpace } from './prompt-map.js';

/** A judged router with the report that its bundle may keep. */
export interface ReportedRouter {
  readonly judged: EvaluatedRouter;
  readonly report: RouterEvaluationReport;
}

/** Judges a router model as `evaluateRouter` does, and writes the report that travels with it. @throws the same */
export async function reportRouter(
  evaluation: RouterEvaluation,
  date: string,
  options: PrepareOptions = {},
): Promise<ReportedRouter> {
  const { router, base, table, split } = evaluation;
  const { trial, vectors, fitted, notes } = await tryRouter(evaluation, options);
  const mapped = mapRows(trial.rows.length, trial.seed);
  const prompts = mapped.map((row) => trial.rows[row]!.prompt);
  const { sentences, sentenceWidth } = await preparePrompts(base, prompts, ['sentence'], options);
  const spaces: PromptSpace[] = [
    { space: 'encoder', vectors: sentences ?? new Float32Array(0), dimension: sentenceWidth },
  ];
  if (router.spec.blocks.some(({ kind }) => kind !== 'sentence'))
    spaces.push({
      space: 'features',
      vectors: pickRows(vectors.features, vectors.dimension, mapped),
      dimension: vectors.dimension,
    });
  const facts = { dataset: table.set, split, fitted, date, notes };
  return {
    judged: {
      router: `${router.manifest.name}@${router.manifest.version}`,
      table: table.set,
      split,
      fitted,
      ...judgeRouter(trial),
      notes,
    },
    report: evaluationReport({ trial, facts, mapped, spaces }),
  };
}

/** A router model with a report in it, ready to be written: all else stays as it is, but the digest is another. */
export async function withReport(
  bundle: OpenedBundle<RouterManifest>,
  report: RouterEvaluationReport,
): Promise<UnwrittenRouter> {
  const { files, ...manifest } = bundle.manifest;
  const kept = await Promise.all(
    files
      .filter(({ path }) => path !== ROUTER_EVALUATION)
      .map(async ({ path }) => [path, await bundle.readFile(path)] as const),
  );
  return {
    manifest,
    files: { ...Object.fromEntries(kept), [ROUTER_EVALUATION]: encodeRouterEvaluation(report) },
  };
}
