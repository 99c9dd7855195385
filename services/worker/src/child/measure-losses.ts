import { openBundle, type Digest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  makeTableRun,
  measureTable,
  openTrainingBase,
  ownsChunk,
  PartialTable,
  requireOneBase,
  runDigest,
  type MeasuredBundle,
} from '@thalamus/training';
import { readFileSync, rmSync } from 'node:fs';
import type { JobWork, WorkResult } from '../application/job-process.port.js';
import type { CheckpointRequests } from './checkpoint-requests.js';
import { toolsOf } from './open-base.js';
import type { WorkReporter } from './work-reporter.js';

/** What the measurement of a part reports to. */
export interface MeasuringSurroundings {
  readonly reporter: WorkReporter;
  readonly requests: CheckpointRequests;
  /** The file of the losses holds more than before. */
  readonly onCheckpoint: () => void;
}

/**
 * Measures the experts on the prompts of one part, into the file of the checkpoint; what is there of the same run is not measured again.
 * Experts, prompts and base are checked before anything runs.
 */
export async function measureLosses(
  { data, expertFolders, baseFolder, part, masking, common }: Extract<JobWork, { kind: 'loss-table' }>,
  { reporter, requests, onCheckpoint }: MeasuringSurroundings,
): Promise<WorkResult> {
  const experts: MeasuredBundle[] = [];
  for (const folder of expertFolders) experts.push(await openBundle(folder));
  const run = makeTableRun(experts, { bytes: readFileSync(data.path), file: data.label }, masking);
  const tools = toolsOf(common.threads);
  const base = baseFolder === undefined ? undefined : await openTrainingBase(baseFolder, tools);
  if (base) requireOneBase(experts, base);
  const digest = runDigest(run);
  const kept = openKept(common.checkpointFiles.losses, digest);
  let results = 0;
  try {
    await measureTable(run, { ...tools, base }, kept, {
      isOwn: (chunk) => ownsChunk(part, chunk),
      onProgress: (done, total) => {
        results = total;
        reporter.step('measuring', done, total);
        // Every cell is on the disk by now: what there is may be read at any time.
        if (done > 0 && requests.take()) onCheckpoint();
      },
    });
  } finally {
    kept.close();
  }
  return {
    labels: run.labelCount,
    rows: { measured: results / experts.length },
    evaluation: [],
    run: digest,
  };
}

/** What an earlier attempt has measured; one of another version of this product, which measures otherwise, is passed over. */
function openKept(path: string, digest: Digest): PartialTable {
  try {
    return PartialTable.open(path, digest);
  } catch (fault) {
    if (!ThalamusError.is(fault) || fault.code !== 'CONFIG_INVALID') throw fault;
    rmSync(path, { force: true });
    return PartialTable.open(path, digest);
  }
}
