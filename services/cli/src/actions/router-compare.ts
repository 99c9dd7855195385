import { digestOf, openRouterBundle } from '@thalamus/bundle';
import {
  compareChoices,
  DEFAULT_ROUTER_GATE_TEXT,
  judgeChoices,
  parseGate,
  routerReport,
  type RouterReport,
} from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import {
  decidePrompts,
  openedRouter,
  readRoutingTable,
  type ComparedSplit,
  type DecidedPrompts,
  type OpenedRouter,
  type RoutingTable,
} from '@thalamus/training';
import { VERDICT_EXIT } from '../exit-codes.js';
import { createOutput } from '../output.js';
import { readText } from '../release/text-file.js';
import { embedOnce } from '../router/embed-once.js';
import { keptVectors } from '../router/kept-vectors.js';
import { reportLines, reportMarkdown } from '../router/report-views.js';
import { stageView } from '../router/stage-view.js';
import { localTools, openLocalBase } from '../training/local-tools.js';

/** Options of `router compare`. */
export interface CompareRoutersOptions {
  readonly before: string;
  readonly after: string;
  readonly table: string;
  readonly split: ComparedSplit;
  readonly gate?: string;
  readonly tolerance: number;
  readonly items: number;
  readonly approve: readonly string[];
  readonly report?: 'md';
  readonly base?: string;
  readonly vectors?: string;
  readonly threads?: number;
  readonly json: boolean;
}

/** Of the bootstrap. */
const SEED = 0;

const EXITS = {
  compatible: VERDICT_EXIT.passed,
  incompatible: VERDICT_EXIT.failed,
  inconclusive: VERDICT_EXIT.inconclusive,
};

interface Opened {
  readonly before: OpenedRouter;
  readonly after: OpenedRouter;
  readonly table: RoutingTable;
}

/** Compares two router models of folders on a table; the exit code is the verdict. @throws BUNDLE_INVALID, DATASET_INVALID, CONFIG_INVALID */
export async function compareRouters(options: CompareRoutersOptions): Promise<void> {
  const { json, report, tolerance } = options;
  if (json && report !== undefined)
    throw new ThalamusError('CONFIG_INVALID', '--json and --report exclude each other; take one of them.');
  const gate = readGate(options.gate);
  const opened = {
    before: await openedRouter(await openRouterBundle(options.before)),
    after: await openedRouter(await openRouterBundle(options.after)),
    table: await readRoutingTable(options.table),
  };
  const decided = await decide(opened, options);
  const comparison = compareChoices(decided.prompts, { tolerance, seed: SEED });
  const judged = judgeChoices(gate.document, comparison, options.approve);
  const facts = { ...factsOf(opened, decided, options), gateDigest: gate.digest };
  const answer = routerReport(facts, comparison, judged);
  createOutput(json).answer(answer, () => (report === 'md' ? reportMarkdown(answer) : reportLines(answer)));
  process.exitCode = EXITS[answer.verdict];
}

function readGate(path: string | undefined) {
  const text = path === undefined ? DEFAULT_ROUTER_GATE_TEXT : readText(path);
  return {
    document: parseGate(text, path ?? 'the default gate of router models'),
    digest: digestOf(Buffer.from(text)),
  };
}

async function decide(opened: Opened, options: CompareRoutersOptions): Promise<DecidedPrompts> {
  const tools = localTools(options.threads);
  const view = await stageView(options.json);
  try {
    const base = await openLocalBase(options.base, tools);
    const texts = opened.table.rows.map(({ prompt }) => prompt);
    return await decidePrompts(
      { ...opened, base, split: options.split },
      {
        embed: embedOnce(base, keptVectors(options.vectors, base, texts)),
        onProgress: (done, total) => view.step('embedding', done, total),
      },
    );
  } finally {
    view.end();
    await tools.runtime.close();
  }
}

function factsOf(
  { before, after, table }: Opened,
  { leftOut, notes }: DecidedPrompts,
  { split, tolerance, items, approve }: CompareRoutersOptions,
) {
  const modelOf = ({ manifest, digest }: OpenedRouter): RouterReport['before'] => ({
    ...{ name: manifest.name, version: manifest.version, digest },
  });
  return {
    task: before.manifest.task,
    before: modelOf(before),
    after: modelOf(after),
    table: { set: table.set, digest: table.digest, split, leftOut },
    lossUnit: table.unit,
    tolerance,
    approvals: [...new Set(approve)],
    items,
    notes: [...notes],
  };
}
