import { openRouterBundle, writeRouterBundle } from '@thalamus/bundle';
import {
  evaluateRouter,
  openedRouter,
  readRoutingTable,
  reportRouter,
  withReport,
  type EvaluatedRouter,
  type JudgedSplit,
} from '@thalamus/training';
import { onInterrupt } from '../interruption.js';
import { createOutput, table as columns } from '../output.js';
import { keptVectors } from '../router/kept-vectors.js';
import { stageView } from '../router/stage-view.js';
import { localTools, openLocalBase } from '../training/local-tools.js';

/** Options of `router evaluate`. */
export interface EvaluateRouterOptions {
  readonly router: string;
  readonly table: string;
  readonly split: JudgedSplit;
  readonly base?: string;
  readonly vectors?: string;
  readonly threads?: number;
  /** Keeps the report in the folder. */
  readonly save: boolean;
  readonly json: boolean;
}

/** Judges a router model of a folder on a table. @throws BUNDLE_INVALID, DATASET_INVALID, ARTIFACT_STORE_FULL */
export async function evaluateRouterLocal(options: EvaluateRouterOptions): Promise<void> {
  const bundle = await openRouterBundle(options.router);
  const router = await openedRouter(bundle);
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
    const evaluation = { router, base, table: measured, split: options.split };
    const hooks = {
      onProgress: (done: number, total: number) => view.step('embedding', done, total),
      ...(embed ? { embed } : {}),
    };
    if (!options.save) {
      const judged = await evaluateRouter(evaluation, hooks);
      view.end();
      createOutput(options.json).answer(judged, () => lines(judged));
      return;
    }
    const date = new Date().toISOString().slice(0, 10);
    const { judged, report } = await reportRouter(evaluation, date, hooks);
    const { manifest, files } = await withReport(bundle, report);
    const release = onInterrupt(() => undefined);
    const { folder, digest } = await writeRouterBundle(options.router, manifest, files).finally(release);
    view.end();
    createOutput(options.json).answer({ ...judged, saved: { folder, digest } }, () => [
      ...lines(judged),
      '',
      `The report is kept in ${folder}, whose digest is now ${digest}.`,
    ]);
  } finally {
    view.end();
    await tools.runtime.close();
  }
}

function lines(judged: EvaluatedRouter): string[] {
  const interval = (name: string) => {
    const found = judged.intervals[name];
    return found ? `${found[0].toFixed(4)} to ${found[1].toFixed(4)}` : '';
  };
  const { n, split, table, router, meanCost } = judged;
  return [
    `${router} on ${n} prompts of ${table}, part "${split}"${judged.fitted ? ' (it was fitted on rows of this part)' : ''}.`,
    '',
    ...columns([
      ['', 'quality', '95 % interval', 'router is better by'],
      ['router', judged.quality.toFixed(4), interval('quality'), ''],
      ...Object.entries(judged.baselines).map(([name, quality]) => [
        name,
        quality.toFixed(4),
        '',
        interval(`qualityOver.${name}`),
      ]),
    ]),
    '',
    ...(judged.secondShare === undefined
      ? []
      : [`${percent(judged.secondShare)} of the prompts needed the second stage`]),
    `top-1 ${judged.top1.toFixed(4)}, regret ${judged.regret.toFixed(4)}`,
    ...(meanCost === null ? [] : [`mean price ${meanCost.toFixed(4)} USD per million tokens`]),
    ...Object.entries(judged.strongWeak ?? {}).map(
      ([name, { apgr, cpt50, cpt80, calls95 }]) =>
        `${name}: APGR ${apgr.toFixed(4)}, CPT(50 %) ${(100 * cpt50).toFixed(1)} %, CPT(80 %) ${(100 * cpt80).toFixed(1)} %, 95 % of the better model at ${(100 * calls95).toFixed(1)} % of its calls`,
    ),
    '',
    ...calibrationLines(judged),
    ...judged.notes,
  ];
}

/** Calibration before and after, how intervals hold, and the table that a reliability plot is drawn from. */
function calibrationLines({ calibration, lossIntervals, ece }: EvaluatedRouter): string[] {
  const { recalibration, before, after, n } = calibration;
  const { promised, coverage, meanWidth, regions } = lossIntervals;
  const [error, square] = ece === null ? ['calibration error', 'mean square'] : ['ECE', 'Brier'];
  const worst = Math.min(...regions.map((region) => region.coverage));
  return [
    ...columns([
      ['', error, square],
      ['losses of the heads', before.ece.toFixed(4), before.brier.toFixed(4)],
      [`calibrated (${recalibration})`, after.ece.toFixed(4), after.brier.toFixed(4)],
    ]),
    `intervals of ${percent(promised)} hold ${percent(coverage)} of ${n} losses, ${meanWidth.toFixed(4)} wide on average${
      regions.length > 0 ? `; of ${regions.length} regions the worst ${percent(worst)}` : ''
    }`,
    '',
    ...columns([
      ['predicted loss from', 'to', 'n', 'mean predicted', 'mean measured', 'standard error'],
      ...after.reliability.map((bin) => [
        bin.from.toFixed(4),
        bin.to.toFixed(4),
        String(bin.n),
        bin.predicted.toFixed(4),
        bin.measured.toFixed(4),
        bin.error?.toFixed(4) ?? '',
      ]),
    ]),
  ];
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
