import { writeRouterBundle, type RouterManifest } from '@thalamus/bundle';
import {
  choiceReport,
  readRoutingTable,
  routerBundle,
  trainRouter,
  type ChoiceReport,
  type RouterEncoder,
  type RouterStage,
  type RoutingTable,
  type TrainedRouter,
} from '@thalamus/training';
import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { endBySystem, onInterrupt } from '../interruption.js';
import { createOutput, table as columns } from '../output.js';
import { keptVectors } from '../router/kept-vectors.js';
import { nameOf, requireAbsent } from '../router/new-folder.js';
import { stageView } from '../router/stage-view.js';
import { localTools, openLocalBase } from '../training/local-tools.js';

/** Options of `router train`. */
export interface TrainRouterOptions {
  readonly table: string;
  readonly out: string;
  readonly encoder: RouterEncoder;
  readonly seed: number;
  readonly name?: string;
  readonly task: RouterManifest['task'];
  readonly validationShare: number;
  readonly testShare: number;
  readonly base?: string;
  readonly vectors?: string;
  readonly threads?: number;
  readonly json: boolean;
}

/**
 * Trains a router in this process and writes its bundle to a new folder. The folder appears whole or not at all.
 * @throws DATASET_INVALID, CONFIG_INVALID, ARTIFACT_STORE_FULL
 */
export async function trainRouterLocal(options: TrainRouterOptions): Promise<void> {
  const out = resolve(options.out);
  const name = nameOf(options.name, out);
  requireAbsent(out);
  const measured = await readRoutingTable(options.table);
  const tools = localTools(options.threads);
  const view = await stageView(options.json);
  try {
    const base = await openLocalBase(options.base, tools);
    const embed = keptVectors(
      options.vectors,
      base,
      measured.rows.map(({ prompt }) => prompt),
    );
    let restore: (() => void) | undefined;
    const onProgress = async (stage: RouterStage, done: number, total: number) => {
      view.step(stage, done, total);
      if (stage !== 'embedding') restore ??= endBySystem();
      await setImmediate();
    };
    const trained = await trainRouter(
      {
        table: measured,
        base,
        encoder: options.encoder,
        seed: options.seed,
        validation: options.validationShare,
        test: options.testShare,
      },
      { onProgress, ...(embed ? { embed } : {}) },
    );
    restore?.();
    const date = new Date().toISOString().slice(0, 10);
    const { manifest, files } = routerBundle(trained, measured, base, {
      name,
      version: '1',
      task: options.task,
      date,
    });
    const release = onInterrupt(() => undefined);
    const { digest } = await writeRouterBundle(out, manifest, files).finally(release);
    view.end();
    report(options, { out, digest, name }, measured, trained);
  } finally {
    view.end();
    await tools.runtime.close();
  }
}

/** Where the router model went. */
interface Place {
  readonly out: string;
  readonly digest: string;
  readonly name: string;
}

function report(
  options: TrainRouterOptions,
  { out, digest, name }: Place,
  measured: RoutingTable,
  trained: TrainedRouter,
): void {
  const choice = choiceReport(trained);
  const { counts, split } = trained;
  const value = {
    router: name,
    folder: out,
    digest,
    encoder: trained.encoder,
    table: {
      set: measured.set,
      digest: measured.digest,
      rows: measured.rows.length,
      skipped: measured.skipped,
    },
    split: { ...split, rows: counts },
    choice,
    notes: measured.notes,
  };
  createOutput(options.json).answer(value, () => [
    `${out}: ${name}, ${trained.encoder} encoder, ${measured.models.length} models of ${measured.set}, fitted on ${choice.rows} rows; ${counts.test} are set aside (by ${split.by}, seed ${split.seed}).`,
    '',
    ...columns(choiceTable(choice)),
    '',
    choice.why,
    ...(choice.second ? [`Second stage: ${choice.second.why}`, choice.second.stages.why] : []),
    `Calibration: ${choice.calibration.why}`,
    ...measured.notes,
    '',
    `  npx thalamus router evaluate --router ${options.out} --table ${options.table} --split test`,
    `  npx thalamus route "your prompt" --router ${options.out}`,
  ]);
}

/** The best setting of each learner, and the one that is taken. */
function choiceTable(choice: ChoiceReport): string[][] {
  const best = new Map<string, ChoiceReport['tried'][number]>();
  for (const item of choice.tried) {
    const key = item.learner === 'average' ? item.setting : item.learner;
    const known = best.get(key);
    if (!known || item.costRegret < known.costRegret) best.set(key, item);
  }
  const shown = choice.tried.filter((item) => [...best.values()].includes(item) || isChosen(item, choice));
  return [
    ['', 'learner', 'regret', 'with costs', 'behind the best', 'setting'],
    ...shown.map((item) => [
      isChosen(item, choice) ? '>' : '',
      item.learner,
      item.regret.toFixed(4),
      item.costRegret.toFixed(4),
      `${item.behind.toFixed(4)} +- ${item.behindError.toFixed(4)}`,
      item.setting,
    ]),
  ];
}

const isChosen = ({ learner, setting }: ChoiceReport['tried'][number], { chosen }: ChoiceReport) =>
  chosen === `${learner} (${setting})`;
