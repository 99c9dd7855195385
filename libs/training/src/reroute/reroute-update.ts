import type { AnsweredPrompt } from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import { predictLosses } from '@thalamus/routing';
import type { MarginChoice } from '../router/choose-margin.js';
import { featuresOf } from '../router/fitted-features.js';
import { NEAREST, RIDGE } from '../router/learners.js';
import { preparePrompts, ROUTER_ENCODERS } from '../router/prepare-prompts.js';
import { MIN_USABLE_ROWS, type RoutingTable } from '../router/routing-table.js';
import { trainRouter, type TrainedRouter } from '../router/train-router.js';
import type { TrainingBase } from '../training-base.port.js';
import { judgeReroute, type RerouteJudgement } from './judge-reroute.js';
import { groupFolds } from './prompt-groups.js';
import { rerouteTable, type RerouteFacts, type RerouteTable } from './reroute-table.js';

/** What a reroute is made with. */
export interface RerouteRun {
  readonly base: TrainingBase;
  /** Draws the folds. */
  readonly seed: number;
}

/** A router that prefers the new version. */
export type ReroutingRouter = TrainedRouter & { readonly margin: MarginChoice };

/** Told how many of the routers have been fitted. */
export type RerouteProgress = (done: number, total: number) => void | Promise<void>;

/** A router over two versions of a model, and how it does on prompts that it has not seen. */
export interface Rerouted extends RerouteTable {
  readonly trained: ReroutingRouter;
  readonly judgement: RerouteJudgement;
  readonly folds: readonly FoldMargin[];
  /** Whether any prompt goes to the old version: if none does, the router does nothing that the new version alone does not do. */
  readonly sendsBack: boolean;
}

/** What was chosen for a fold by the others. */
export interface FoldMargin {
  readonly margin: number;
  readonly learner: string;
}

const FOLDS = 5;
const ENCODER = 'fast';
/** The simplest two: a few hundred rows tell no more. */
const LEARNERS = [RIDGE, NEAREST];
/** Two models need fewer directions than many. */
const TABLES = { tokenWidth: 128, gramRows: 2048, gramWidth: 32 };
const OLD = 0;
const NEW = 1;

/**
 * Fits a router that sends prompts to the new version unless the old one is better by a margin, and judges it by cross-validation: of each
 * fifth of the prompts features, learner and margin are chosen on the other four, near-duplicates being in one fold. The router that is
 * returned is fitted on all of them. Deterministic for a seed.
 * @throws DATASET_INVALID as `rerouteTable` does, and where near-duplicates leave too little to fit on
 */
export async function rerouteUpdate(
  prompts: readonly AnsweredPrompt[],
  facts: RerouteFacts,
  run: RerouteRun,
  onProgress: RerouteProgress = () => undefined,
): Promise<Rerouted> {
  const { table, text } = rerouteTable(prompts, facts);
  const total = FOLDS + 1;
  const crossed = await crossValidate(table, run, (done) => onProgress(done, total));
  const judgement = judgeReroute(
    prompts.map(({ slices, before, after }, row) => ({
      slices,
      group: table.rows[row]!.doc ?? '',
      isOldRight: before.isRight,
      isNewRight: after.isRight,
      isSentBack: crossed.isSentBack[row]!,
    })),
  );
  const trained = await fitReroute(table, run);
  await onProgress(total, total);
  const sendsBack = trained.margin.chosen.share > 0;
  return {
    table,
    text,
    trained,
    judgement: sendsBack ? judgement : unused(judgement),
    folds: crossed.folds,
    sendsBack,
  };
}

/** Who of a table over an old and a new version is sent back, by routers that had not seen the prompt. */
export async function crossValidate(
  table: RoutingTable,
  run: RerouteRun,
  onFold: (done: number) => void | Promise<void> = () => undefined,
): Promise<{ readonly isSentBack: readonly boolean[]; readonly folds: readonly FoldMargin[] }> {
  const { rows } = table;
  const isSentBack = rows.map(() => false);
  const folds: FoldMargin[] = [];
  const foldOf = groupFolds(
    rows.map(({ doc, prompt }) => doc ?? prompt),
    FOLDS,
    run.seed,
  );
  for (let fold = 0; fold < FOLDS; fold++) {
    const inside = rows.filter((_, row) => foldOf[row] !== fold);
    const outside = rows.flatMap((_, row) => (foldOf[row] === fold ? [row] : []));
    if (inside.length < MIN_USABLE_ROWS || outside.length === 0) throw tooAlike();
    const router = await fitReroute({ ...table, rows: inside }, run);
    const sent = await sentBack(
      router,
      run.base,
      outside.map((row) => rows[row]!.prompt),
    );
    outside.forEach((row, at) => (isSentBack[row] = sent[at]!));
    folds.push({ margin: router.margin.chosen.margin, learner: router.choice.chosen.learner });
    await onFold(fold + 1);
  }
  return { isSentBack, folds };
}

/** Fits the router over a table of an old and a new version. */
export async function fitReroute(table: RoutingTable, { base, seed }: RerouteRun): Promise<ReroutingRouter> {
  const trained = await trainRouter({
    table,
    base,
    encoder: ENCODER,
    seed,
    validation: 0,
    test: 0,
    tables: TABLES,
    learners: LEARNERS,
    preferred: table.models[NEW]!.expert,
  });
  if (trained.margin) return { ...trained, margin: trained.margin };
  throw new Error('A training that prefers a model chooses its margin.');
}

/** Which prompts a router sends to the old version. */
export async function sentBack(
  { spec, heads }: TrainedRouter,
  base: TrainingBase,
  prompts: readonly string[],
): Promise<boolean[]> {
  const prepared = await preparePrompts(base, prompts, ROUTER_ENCODERS[ENCODER]);
  const losses = predictLosses(heads, featuresOf(prepared, spec));
  return prompts.map((_, row) => losses[2 * row + OLD]! < losses[2 * row + NEW]!);
}

/** What folds show is not shown of a router that sends nothing back. */
function unused(judgement: RerouteJudgement): RerouteJudgement {
  const { verdict, reason } = judgement;
  return {
    ...judgement,
    verdict: verdict === 'worse' ? verdict : 'not-shown',
    reason: `Fitted on all prompts, the router sends none to the old version: nothing tells when that one is better. In the folds: ${reason}`,
  };
}

function tooAlike(): ThalamusError {
  return new ThalamusError(
    'DATASET_INVALID',
    `Most prompts are near-duplicates of a few, which must not be fitted on and judged by at once; give more that differ.`,
  );
}
