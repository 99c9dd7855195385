import { writeRouterBundle, type Digest, type RouterManifest } from '@thalamus/bundle';
import { pairAnswers } from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import {
  rerouteUpdate,
  routerBundle,
  type Rerouted,
  type RerouteLoss,
  type TrainingBase,
} from '@thalamus/training';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { VERDICT_EXIT } from '../exit-codes.js';
import { endBySystem, onInterrupt } from '../interruption.js';
import { createOutput } from '../output.js';
import { progressBar } from '../progress-bar.js';
import { readPredictions } from '../release/prediction-source.js';
import { rerouteAnswer, rerouteLines, rerouteReport } from '../release/reroute-views.js';
import { nameOf, requireAbsent, requireApart } from '../router/new-folder.js';
import { localTools, openLocalBase } from '../training/local-tools.js';

/** Options of `release reroute`. */
export interface RerouteOptions {
  readonly before: string;
  readonly after: string;
  readonly old: string;
  readonly new: string;
  readonly out: string;
  readonly table?: string;
  readonly loss: RerouteLoss;
  readonly seed: number;
  readonly name?: string;
  readonly task: RouterManifest['task'];
  readonly licence: string;
  readonly origin: string;
  readonly base?: string;
  readonly report?: 'md';
  readonly json: boolean;
  readonly data: string;
}

const EXITS = {
  repaired: VERDICT_EXIT.passed,
  worse: VERDICT_EXIT.failed,
  'not-shown': VERDICT_EXIT.inconclusive,
};
const VERSION = '1';

/**
 * Fits a router over two versions of a remote model in this process, judges it, and writes its bundle to a new folder, which appears whole
 * or not at all. None is written where no prompt would go to the old version. The exit code is the verdict.
 * @throws DATASET_INVALID, CONFIG_INVALID, ARTIFACT_NOT_FOUND, ARTIFACT_STORE_FULL
 */
export async function rerouteRelease(options: RerouteOptions): Promise<void> {
  const { json, report, seed } = options;
  if (json && report !== undefined)
    throw new ThalamusError('CONFIG_INVALID', '--json and --report exclude each other; take one of them.');
  const out = resolve(options.out);
  const name = nameOf(options.name, out);
  requireExperts(options);
  requireAbsent(out);
  const table = options.table === undefined ? undefined : resolve(options.table);
  if (table !== undefined) {
    requireApart(out, table, '--table');
    requireAbsent(table, '--table');
  }
  const prompts = pairAnswers(
    { file: options.before, text: await readPredictions(options.before, options.data) },
    { file: options.after, text: await readPredictions(options.after, options.data) },
    { isScored: options.loss === 'score' },
  );
  const tools = localTools(1);
  const bar = await progressBar(json);
  try {
    const base = await openLocalBase(options.base, tools);
    const restore = endBySystem();
    const made = await rerouteUpdate(prompts, options, { base, seed }, async (done, total) => {
      bar.step({ stage: 'fitting', done, total });
      await setImmediate();
    });
    restore();
    bar.end();
    const digest = made.sendsBack ? await write({ out, name, task: options.task }, made, base) : null;
    if (table !== undefined) writeTable(table, made.text);
    const answer = rerouteAnswer(made, {
      ...options,
      router: name,
      folder: digest === null ? null : out,
      digest,
      table: table ?? null,
    });
    createOutput(json).answer(answer, () =>
      report === 'md' ? rerouteReport(answer) : rerouteLines(answer, options.out),
    );
    process.exitCode = EXITS[answer.verdict];
  } finally {
    bar.end();
    await tools.runtime.close();
  }
}

/** @throws CONFIG_INVALID */
function writeTable(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx' });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new ThalamusError(
      'CONFIG_INVALID',
      `--table ${path} cannot be written (${code}); name another file. A router model that was made is kept.`,
      { cause },
    );
  }
}

/** Where a router model goes, and what it is called. */
interface Place {
  readonly out: string;
  readonly name: string;
  readonly task: RouterManifest['task'];
}

/** Writes the bundle; its digest. @throws ARTIFACT_STORE_FULL */
async function write({ out, name, task }: Place, made: Rerouted, base: TrainingBase): Promise<Digest> {
  const date = new Date().toISOString().slice(0, 10);
  const facts = { name, version: VERSION, task, date };
  const { manifest, files } = routerBundle(made.trained, made.table, base, facts);
  const release = onInterrupt(() => undefined);
  const { digest } = await writeRouterBundle(out, withFlips(manifest, made), files).finally(release);
  return digest;
}

/** @throws CONFIG_INVALID */
function requireExperts({ old, new: own }: RerouteOptions): void {
  for (const [flag, name] of [
    ['--old', old],
    ['--new', own],
  ] as const)
    if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name))
      throw new ThalamusError(
        'CONFIG_INVALID',
        `${flag} ${name} is no name of an expert; experts have lower-case letters, digits and hyphens.`,
      );
  if (old === own)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `--old and --new both name ${old}; a router chooses between experts, so register each version as one of its own.`,
    );
}

/** The manifest with the flips that folds showed. */
function withFlips(
  manifest: Omit<RouterManifest, 'files'>,
  { judgement: { before, after, accuracy, n } }: Rerouted,
): Omit<RouterManifest, 'files'> {
  const [first] = manifest.evaluation;
  const row = (metric: string, value: number) =>
    first ? [{ ...first, metric, value: Number(value.toFixed(6)), n }] : [];
  return {
    ...manifest,
    evaluation: [
      ...manifest.evaluation,
      ...row('negative-flip-rate', after.nfr.value),
      ...row('negative-flip-rate-before', before.nfr.value),
      ...row('accuracy', accuracy.routed.value),
    ],
  };
}
