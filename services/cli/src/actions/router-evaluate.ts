import { openRouterBundle } from '@thalamus/bundle';
import {
  evaluateRouter,
  openedRouter,
  readRoutingTable,
  type EvaluatedRouter,
  type JudgedSplit,
} from '@thalamus/training';
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
  readonly json: boolean;
}

/** Judges a router model of a folder on a table. @throws BUNDLE_INVALID, DATASET_INVALID */
export async function evaluateRouterLocal(options: EvaluateRouterOptions): Promise<void> {
  const router = await openedRouter(await openRouterBundle(options.router));
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
    const judged = await evaluateRouter(
      { router, base, table: measured, split: options.split },
      { onProgress: (done, total) => view.step('embedding', done, total), ...(embed ? { embed } : {}) },
    );
    view.end();
    createOutput(options.json).answer(judged, () => lines(judged));
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
  const { n, split, table, router, ece, brier, meanCost } = judged;
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
    `top-1 ${judged.top1.toFixed(4)}, regret ${judged.regret.toFixed(4)}, intervals hold ${(100 * judged.coverage).toFixed(1)} %`,
    ...(ece === null || brier === null ? [] : [`ECE ${ece.toFixed(4)}, Brier ${brier.toFixed(4)}`]),
    ...(meanCost === null ? [] : [`mean price ${meanCost.toFixed(4)} USD per million tokens`]),
    ...Object.entries(judged.strongWeak ?? {}).map(
      ([name, { apgr, cpt50, cpt80, calls95 }]) =>
        `${name}: APGR ${apgr.toFixed(4)}, CPT(50 %) ${(100 * cpt50).toFixed(1)} %, CPT(80 %) ${(100 * cpt80).toFixed(1)} %, 95 % of the better model at ${(100 * calls95).toFixed(1)} % of its calls`,
    ),
    ...judged.notes,
  ];
}
