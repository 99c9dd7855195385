import { digestOf, readClassifierHead, readLowRankAdapter } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';
import { classificationMetrics } from '../classification-metrics.js';
import type { DatasetRow } from '../csv-dataset.js';
import { withStepProgress, type RunHooks } from '../methods/expert-run.js';
import type { HyperParameters } from '../methods/hyper-parameters.js';
import type { UnwrittenBundle } from '../methods/expert-bundle.js';
import { keptRun, resumableRun, type KeptRun } from '../methods/resumable-run.js';
import type { TrainingSplit } from '../split-rows.js';
import type { TextTokens, TrainingBase } from '../training-base.port.js';
import { requireRepairable, type ExpertVersion } from './check-repairable.js';
import { chosenLabels, judgeRepair, type RepairJudgement } from './judge-repair.js';
import type { RepairArmName } from './repair-arms.js';
import { repairedBundle, type RepairFacts } from './repaired-bundle.js';
import { prepareRepair, type RepairRun, type TaughtTokens } from './train-repair.js';
import { answersOf } from './version-answers.js';

/** What is repaired, with what. */
export interface ExpertRepair {
  readonly from: ExpertVersion;
  readonly to: ExpertVersion & { readonly base: TrainingBase };
  /** Rows that neither version has learned from; those of the test judge. */
  readonly parts: TrainingSplit<DatasetRow>;
  readonly arm: RepairArmName;
  /** Rank and alpha are those of the new version. */
  readonly settings: HyperParameters;
  readonly seed: number;
  readonly readTokenizer: (json: Uint8Array) => TextTokens;
  readonly facts: RepairFacts;
}

/** A repaired expert. */
export interface FinishedRepair extends UnwrittenBundle {
  readonly kind: 'finished';
  readonly judgement: RepairJudgement;
  readonly notes: readonly string[];
  /** Log-probabilities [rows of the test, labels] of the old version and of the repaired one. */
  readonly heldOut: { readonly old: Float64Array; readonly repaired: Float64Array };
}

/** What is kept of the control while the repair is trained. */
const controlFacts = z.object({ continued: z.array(z.number().int().nonnegative()) });

/**
 * Repairs an update (MUSCLE, arXiv 2407.09435): answers all rows with both versions, trains the new version on by the labels alone as
 * a control, then trains the repair on the same rows for as many steps, and judges both on the held-out rows. Equal input and
 * machine, equal bytes; a run that was interrupted goes on from its checkpoint.
 * @throws METHOD_UNSUPPORTED, REQUEST_INVALID for versions that cannot be repaired; TRAINING_DIVERGED; CONFIG_INVALID for a checkpoint of
 * another run
 */
export async function repairExpert(
  run: ExpertRepair,
  hooks: RunHooks = {},
): Promise<FinishedRepair | { readonly kind: 'interrupted' }> {
  await requireRepairable(run.from, run.to);
  const keys = { control: keyOf(run, 'control'), repair: keyOf(run, run.arm) };
  const isControlled = run.arm !== 'continued';
  const keptRepair = keptRun(keys.repair, {
    ...hooks,
    foreignCheckpoint: isControlled ? 'pass-over' : (hooks.foreignCheckpoint ?? 'refuse'),
  });
  const keptControl = isControlled && !keptRepair ? keptRun(keys.control, hooks) : undefined;
  const { prepared, adapter, testClasses, notes } = await ready(run, hooks);
  const classes = run.to.expert.manifest.labels!.length;
  let continued = keptRepair && isControlled ? readControl(keptRepair) : undefined;
  if (isControlled && !continued) {
    const control = prepareRepair({ ...prepared, arm: 'continued' });
    const watched = withStepProgress(phase(hooks, 0));
    const { loop } = resumableRun(keys.control, control.parameters, watched, { kept: keptControl });
    const trained = await control.run(loop);
    if (!trained) return { kind: 'interrupted' };
    continued = chosenLabels(trained.test, classes);
  }
  const repair = prepareRepair({ ...prepared, arm: run.arm });
  const watched = withStepProgress(keepAtOnce(phase(hooks, isControlled ? 1 : undefined)));
  const { loop, events } = resumableRun(keys.repair, repair.parameters, watched, {
    kept: keptRepair,
    beside: { tensors: new Map(), facts: continued ? { continued } : {} },
  });
  const trained = await repair.run(loop);
  if (!trained) return { kind: 'interrupted' };
  const { answers } = prepared;
  const judgement = judgeRepair({
    truth: [...testClasses],
    old: chosenLabels(answers.old, classes),
    new: chosenLabels(answers.new, classes),
    repaired: chosenLabels(trained.test, classes),
    continued,
  });
  const outcome = {
    trained,
    validation: classificationMetrics(trained.validation, prepared.validation.classes, classes),
    test: classificationMetrics(trained.test, testClasses, classes),
    judgement,
    events,
  };
  const bundle = repairedBundle(run, adapter, outcome);
  const heldOut = { old: answers.old, repaired: trained.test };
  return { kind: 'finished', ...bundle, judgement, notes, heldOut };
}

/** Both versions' answers, tokens and the adapter that is trained from. */
async function ready(run: ExpertRepair, { onProgress }: RunHooks) {
  const { from, to, parts, settings } = run;
  const { base, expert } = to;
  const labels = expert.manifest.labels!;
  const rows = [...parts.train, ...parts.validation, ...parts.test];
  const tools = { runtime: base.runtime, threads: base.threads, readTokenizer: run.readTokenizer };
  const told = (before: number) => (done: number) =>
    onProgress?.({ stage: 'measuring', done: before + done, total: 2 * rows.length });
  const old = await answersOf(from, rows, labels, tools, told(0));
  const fresh = await answersOf(to, rows, labels, tools, told(rows.length));
  onProgress?.({ stage: 'tokenising', done: 0, total: 1 });
  const width = labels.length;
  let at = 0;
  const taught = async (part: readonly DatasetRow[], maxTokens: number): Promise<TaughtTokens> => {
    const [start, end] = [at * width, (at + part.length) * width];
    at += part.length;
    const texts = part.map(({ text }) => text);
    const encoded = await base.tokens.encode(texts, Math.min(maxTokens, expert.manifest.maxTokens));
    return {
      ids: encoded.map(({ ids }) => ids),
      classes: Int32Array.from(part, ({ label }) => labels.indexOf(label)),
      answers: { old: old.slice(start, end), new: fresh.slice(start, end) },
    };
  };
  const train = await taught(parts.train, settings.maxTokens);
  const validation = await taught(parts.validation, expert.manifest.maxTokens);
  const test = await taught(parts.test, expert.manifest.maxTokens);
  const adapter = await readLowRankAdapter(expert);
  const head = await readClassifierHead(expert, base.read.config.hiddenSize);
  const start = { adapter, head };
  const prepared = {
    base,
    name: expert.manifest.name,
    start,
    train,
    validation,
    test: test.ids,
    answers: test.answers,
    settings,
    seed: run.seed,
  } satisfies Omit<RepairRun, 'arm'> & Pick<TaughtTokens, 'answers'>;
  return { prepared, adapter, testClasses: test.classes, notes: notesOf(train, parts.train.length, width) };
}

/** A student that errs on hardly any row has nothing to learn from the old version: its rows are those it was trained on, or too easy. */
const FEW_ERRORS = 0.02;

function notesOf({ answers, classes }: TaughtTokens, rows: number, width: number): string[] {
  const chosen = chosenLabels(answers.new, width);
  const wrong = chosen.filter((label, row) => label !== classes[row]).length;
  if (wrong >= FEW_ERRORS * rows) return [];
  return [
    `The new version has all but ${wrong} of the ${rows} rows right, so that the old one hardly teaches anything: give rows that neither version was trained on.`,
  ];
}

function readControl({ facts }: KeptRun): number[] {
  const parsed = controlFacts.safeParse(facts);
  if (parsed.success) return parsed.data.continued;
  throw new ThalamusError(
    'BUNDLE_INVALID',
    'The checkpoint holds no answers of the control; remove it with --restart and repair from the start.',
  );
}

/** Steps of one of two trainings as progress of both. */
function phase(hooks: RunHooks, place: 0 | 1 | undefined): RunHooks {
  const { onProgress } = hooks;
  if (!onProgress || place === undefined) return hooks;
  return {
    ...hooks,
    onProgress: (progress) => {
      const { done, total } = progress;
      onProgress({ ...progress, done: done + place * total, total: 2 * total });
    },
  };
}

/** The first step is kept, so that a control that is done is not trained again. */
function keepAtOnce(hooks: RunHooks): RunHooks {
  let isFirst = true;
  return {
    ...hooks,
    checkpointDue: () => {
      const isDue = isFirst || (hooks.checkpointDue?.() ?? false);
      isFirst = false;
      return isDue;
    },
  };
}

/** Everything that decides the result of one of the two trainings. */
function keyOf({ from, to, parts, settings, seed }: ExpertRepair, arm: string): string {
  const rows = (part: readonly DatasetRow[]) => part.map(({ text, label }) => [text, label]);
  const { train, validation, test } = parts;
  const all = [rows(train), rows(validation), rows(test)];
  return digestOf(
    JSON.stringify(['repair', arm, from.expert.digest, to.expert.digest, settings, seed, ...all]),
  );
}
