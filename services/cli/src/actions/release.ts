import { isDigest } from '@thalamus/bundle';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { readFileSync } from 'node:fs';
import { EXIT } from '../exit-codes.js';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { table } from '../output.js';
import { AS_CLI, withService } from '../registry-client.js';

const RELEASES = { name: 'updater', service: releaseV1.ReleaseService, deadlineMs: 60_000 };

/** Options of `release compare`. */
export interface CompareOptions extends CommonOptions {
  readonly budget: number;
}

/** Options of `release promote`. */
export interface PromoteOptions extends CommonOptions {
  readonly reason: string;
}

/** Compares two prediction files and prints the verdict; any but "compatible" is exit code 4. @throws DATASET_INVALID */
export async function compare(oldFile: string, newFile: string, options: CompareOptions): Promise<void> {
  const request = {
    old: isDigest(oldFile)
      ? { case: 'oldDigest' as const, value: oldFile }
      : { case: 'oldPredictions' as const, value: read(oldFile) },
    new: isDigest(newFile)
      ? { case: 'newDigest' as const, value: newFile }
      : { case: 'newPredictions' as const, value: read(newFile) },
    negativeFlipBudget: options.budget,
  };
  const answer = await withService(options, RELEASES, (releases) => releases.compare(request));
  const { overall } = answer;
  const verdict = releaseV1.Verdict[answer.verdict].toLowerCase();
  outputOf(options).answer(
    { verdict, reason: answer.reason, overall, slices: answer.slices, items: answer.items },
    () => [
      `${verdict}: ${answer.reason}`,
      ...table([
        ['slice', 'n', 'old accuracy', 'new accuracy', 'negative flips', 'positive flips'],
        ...[...(overall ? [overall] : []), ...answer.slices].map((slice) => [
          slice.slice || 'all',
          String(slice.n),
          share(slice.oldAccuracy),
          share(slice.newAccuracy),
          share(slice.negativeFlips),
          share(slice.positiveFlips),
        ]),
      ]),
    ],
  );
  if (answer.verdict !== releaseV1.Verdict.COMPATIBLE) process.exitCode = EXIT.negative;
}

/** Makes a version the stable one. @throws EXPERT_NOT_FOUND */
export async function promote(expert: string, version: string, options: PromoteOptions): Promise<void> {
  await withService(options, RELEASES, (releases) =>
    releases.promote({ expert, version, reason: options.reason }, AS_CLI),
  );
  outputOf(options).answer({ expert, version, channel: 'stable' }, () => [
    `${expert}@${version} is stable now.`,
  ]);
}

function share(rate: releaseV1.Rate | undefined): string {
  return (rate?.value ?? 0).toFixed(4);
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ThalamusError(
      'DATASET_INVALID',
      `The file ${path} cannot be read; name a JSONL file of predictions.`,
      { cause },
    );
  }
}
