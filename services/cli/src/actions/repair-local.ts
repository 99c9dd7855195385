import type { ExpertManifest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  REPAIR_HYPER_PARAMETERS,
  repairedLicence,
  repairExpert,
  requireLabels,
  requireRepairRows,
  splitTraining,
  type ExpertRepair,
  type ExpertVersion,
  type FinishedRepair,
  type RepairArmName,
  type RepairJudgement,
} from '@thalamus/training';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { EXIT } from '../exit-codes.js';
import { createOutput, table } from '../output.js';
import { localRun, requireFree } from '../training/local-run.js';
import { localTools } from '../training/local-tools.js';
import { VersionOpener } from '../training/open-version.js';
import { readRowsOf } from '../training/read-rows.js';

/** Options of `release repair`. */
export interface RepairOptions {
  readonly json: boolean;
  readonly from: string;
  readonly to: string;
  readonly data: string;
  readonly test?: string;
  readonly out: string;
  readonly method: RepairArmName;
  readonly base?: string;
  readonly fromBase?: string;
  readonly name?: string;
  readonly expertVersion?: string;
  readonly description?: string;
  readonly licence: string;
  readonly origin: string;
  readonly ignoreColumn: readonly string[];
  readonly seed: number;
  readonly epochs?: number;
  readonly rate?: number;
  readonly headRate?: number;
  readonly batch?: number;
  readonly maxTokens?: number;
  readonly threads?: number;
  readonly restart: boolean;
  readonly checkpointMinutes: number;
  readonly mesh: string;
}

/**
 * Repairs an update in this process and writes the bundle to a folder. Ctrl-C keeps a checkpoint, and the same command goes on
 * from it.
 * @throws DATASET_INVALID, REQUEST_INVALID, METHOD_UNSUPPORTED, EXPERT_NOT_FOUND, BUNDLE_INVALID, TRAINING_DIVERGED, CONFIG_INVALID
 */
export async function repairLocal(options: RepairOptions): Promise<void> {
  const out = resolve(options.out);
  await requireFree(out);
  const data = readRowsOf(options.data, options.ignoreColumn);
  const test = options.test === undefined ? undefined : readRowsOf(options.test, options.ignoreColumn);
  requireRepairRows(data);
  const tools = localTools(options.threads);
  const fetched = mkdtempSync(join(tmpdir(), 'thalamus-versions-'));
  const forget = () => {
    rmSync(fetched, { recursive: true, force: true });
  };
  // Ctrl-C may end the process from within the training.
  process.once('exit', forget);
  try {
    const opener = new VersionOpener({ mesh: options.mesh, fetched }, tools);
    const from = await opener.open(options.from, '--from', options.fromBase, '--from-base');
    const to = requireBase(await opener.open(options.to, '--to', options.base, '--base'), options.to);
    const { name, labels = [] } = to.expert.manifest;
    for (const rows of [data, ...(test ? [test] : [])]) requireLabels(rows, new Set(labels), name);
    const parts = splitTraining(data, test, options.seed);
    for (const note of seenNotes([from, to], basename(options.data))) process.stderr.write(`${note}\n`);
    const run: ExpertRepair = {
      from,
      to,
      parts,
      arm: options.method,
      settings: settingsOf(options),
      seed: options.seed,
      readTokenizer: tools.readTokenizer,
      facts: factsOf(options, from, to, parts.train.length),
    };
    const done = await localRun({ ...options, out }, (hooks) => repairExpert(run, hooks));
    if (done) report(options, out, done.digest, done.result);
  } finally {
    await tools.runtime.close();
    process.off('exit', forget);
    forget();
  }
}

function settingsOf({ epochs, rate, headRate, batch, maxTokens }: RepairOptions): ExpertRepair['settings'] {
  const usual = REPAIR_HYPER_PARAMETERS;
  return {
    ...usual,
    epochs: epochs ?? usual.epochs,
    rate: rate ?? usual.rate,
    headRate: headRate ?? usual.headRate,
    rowsPerBatch: batch ?? usual.rowsPerBatch,
    maxTokens: maxTokens ?? usual.maxTokens,
  };
}

/** @throws METHOD_UNSUPPORTED for a new version that is no delta over a base */
function requireBase({ expert, base }: ExpertVersion, text: string): ExpertRepair['to'] {
  if (base) return { expert, base };
  throw new ThalamusError(
    'METHOD_UNSUPPORTED',
    `${text} is ${expert.manifest.kind} and stands on no base; a repair trains a low-rank adapter: train the new version with "thalamus experts train --method lora".`,
  );
}

/** A manifest names its data, not their digests: the same name is a sign, no proof. */
function seenNotes(versions: readonly ExpertVersion[], file: string): string[] {
  return versions
    .filter(({ expert }) => expert.manifest.trainingData.some(({ name }) => name === file))
    .map(
      ({ expert: { manifest } }) =>
        `${file}: ${manifest.name}@${manifest.version} was trained on data of this name. Where the rows are the same, it knows them by heart: repair with rows that neither version has seen.`,
    );
}

function factsOf(
  options: RepairOptions,
  from: ExpertVersion,
  to: ExpertVersion,
  rows: number,
): ExpertRepair['facts'] {
  const { licence, origin, seed, test, data } = options;
  const { manifest } = to.expert;
  const file = basename(data);
  return {
    name: options.name ?? manifest.name,
    version: options.expertVersion ?? nextVersion(from.expert.manifest, manifest),
    description: options.description ?? manifest.description,
    licence: repairedLicence(manifest.licence, licence),
    data: { name: file, licence, origin, rows },
    datasets: { validation: file, test: test === undefined ? file : basename(test) },
    seed,
    date: new Date().toISOString().slice(0, 10),
  };
}

function nextVersion(...versions: readonly Pick<ExpertManifest, 'version'>[]): string {
  const numbers = versions.map(({ version }) => BigInt(version));
  return String(numbers.reduce((most, each) => (each > most ? each : most)) + 1n);
}

function report(options: RepairOptions, out: string, digest: string, result: FinishedRepair): void {
  const { manifest, judgement, notes } = result;
  const { name, version, lineage } = manifest;
  const value = {
    expert: name,
    version,
    method: options.method,
    folder: out,
    digest,
    judgement,
    notes,
    lineage,
  };
  createOutput(options.json).answer(value, () => [
    `${out}: ${name}@${version}, ${options.method}: ${judgement.verdict}.`,
    ...figures(judgement),
    `  ${judgement.reason}`,
    ...notes.map((note) => `  ${note}`),
    '',
    `  npx thalamus experts show ${options.out}`,
    `  npx thalamus experts add ${options.out}        # to a running mesh`,
  ]);
  if (judgement.verdict === 'worse') process.exitCode = EXIT.negative;
}

function figures({ before, after, continued, cut }: RepairJudgement): string[] {
  const percent = (share: number) => (100 * share).toFixed(1);
  const rows = [
    ['the new version', before] as const,
    ...(continued ? [['trained on by the labels', continued] as const] : []),
    ['repaired', after] as const,
  ];
  return [
    ...table([
      ['  against the old version', 'flips to wrong', '95 %', 'flips to right', 'accuracy', 'n'],
      ...rows.map(([who, { negativeFlips, positiveFlips, newAccuracy, n }]) => [
        `  ${who}`,
        `${percent(negativeFlips.value)} %`,
        `${percent(negativeFlips.low)} to ${percent(negativeFlips.high)}`,
        `${percent(positiveFlips.value)} %`,
        `${percent(newAccuracy.value)} %`,
        String(n),
      ]),
    ]),
    Number.isFinite(cut.value)
      ? `  ${percent(cut.value)} % of the flips are gone (95 %: ${percent(cut.low)} to ${percent(cut.high)}).`
      : '  The new version flipped no row from right to wrong: there was nothing to repair.',
  ];
}
