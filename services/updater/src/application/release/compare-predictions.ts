import { create } from '@bufbuild/protobuf';
import { parseDigest, readArtifact, type ArtifactStore } from '@thalamus/bundle';
import {
  compareVersions,
  parsePredictions,
  type Comparison,
  type FlippedItem,
  type Prediction,
  type SliceComparison,
  type Verdict,
} from '@thalamus/compatibility';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';

const MAX_PREDICTION_BYTES = 256 * 2 ** 20;
/** Largest file in a call; larger ones come from the artifact store. */
const MAX_INLINE_BYTES = 3 * 2 ** 20;

const VERDICTS: Readonly<Record<Verdict, releaseV1.Verdict>> = {
  compatible: releaseV1.Verdict.COMPATIBLE,
  incompatible: releaseV1.Verdict.INCOMPATIBLE,
  inconclusive: releaseV1.Verdict.INCONCLUSIVE,
};

/** A prediction file in a call: a digest, or its bytes. */
export type PredictionFile = { readonly case: string | undefined; readonly value?: unknown };

/** A comparison without items, and all flipped items. */
export interface Compared {
  readonly comparison: releaseV1.CompareResponse;
  readonly items: readonly FlippedItem[];
  /** All that the kernel says, for rules. */
  readonly whole: Comparison;
}

/** What a release keeps of a comparison. */
export interface KeptComparison {
  readonly whole: Comparison;
  /** With its largest slices. */
  readonly comparison: releaseV1.CompareResponse;
  /** Digests of both files and of all flipped items. */
  readonly evidence: readonly string[];
}

/** Slices that a release keeps, largest first. */
const MAX_SLICES = 20;

/** Compares prediction files of two versions item by item. */
export class ComparePredictions {
  constructor(private readonly artifacts: ArtifactStore) {}

  /** @throws REQUEST_INVALID, REQUEST_TOO_LARGE, ARTIFACT_NOT_FOUND, DATASET_INVALID */
  async run(before: PredictionFile, after: PredictionFile, budget: number): Promise<Compared> {
    if (!(budget > 0 && budget <= 1)) {
      throw new ThalamusError(
        'REQUEST_INVALID',
        `negative_flip_budget is ${budget}; it is a share between 0 and 1.`,
        { violations: [{ field: 'negative_flip_budget', description: 'between 0 and 1' }] },
      );
    }
    const old = await this.predictions(before, 'the old predictions');
    const next = await this.predictions(after, 'the new predictions');
    const whole = compareVersions(old, next, budget);
    const { verdict, overall, slices, items, reason } = whole;
    const comparison = create(releaseV1.CompareResponseSchema, {
      verdict: VERDICTS[verdict],
      overall: sliceMessage(overall),
      slices: slices.map(sliceMessage),
      reason,
      negativeFlipBudget: budget,
    });
    return { comparison, items, whole };
  }

  /** Compares files whose digests are given, and stores all that flipped as evidence. @throws as `run` */
  async kept(oldDigest: string, newDigest: string, budget: number): Promise<KeptComparison> {
    const file = (value: string) => (value === '' ? { case: undefined } : { case: 'digest', value });
    const { comparison, items, whole } = await this.run(file(oldDigest), file(newDigest), budget);
    const flips = await this.artifacts.put(flipLines(items));
    const kept = { ...comparison, slices: comparison.slices.slice(0, MAX_SLICES) };
    return { whole, comparison: kept, evidence: [oldDigest, newDigest, flips.digest] };
  }

  private async predictions(file: PredictionFile, label: string): Promise<Prediction[]> {
    if (typeof file.value === 'string')
      return parsePredictions(
        utf8(await readArtifact(this.artifacts, parseDigest(file.value), MAX_PREDICTION_BYTES), label),
        label,
      );
    if (file.value instanceof Uint8Array) {
      if (file.value.byteLength > MAX_INLINE_BYTES)
        throw new ThalamusError(
          'REQUEST_TOO_LARGE',
          `The file of ${label} has ${file.value.byteLength} bytes; at most ${MAX_INLINE_BYTES} are taken in the call. Put it into the artifact store and send its digest.`,
        );
      return parsePredictions(utf8(file.value, label), label);
    }
    throw new ThalamusError('REQUEST_INVALID', `${label} are missing; send a digest or the file itself.`);
  }
}

/** Flipped items as JSONL, negative ones first. */
function flipLines(items: readonly FlippedItem[]): Uint8Array {
  return Buffer.from(items.map((item) => `${JSON.stringify(item)}\n`).join(''));
}

function utf8(bytes: Uint8Array, label: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ThalamusError('DATASET_INVALID', `The file of ${label} is not UTF-8.`);
  }
}

function sliceMessage(slice: SliceComparison) {
  const rate = (value: SliceComparison['negativeFlips']) => ({ ...value, count: BigInt(value.count) });
  return create(releaseV1.SliceComparisonSchema, {
    slice: slice.slice,
    n: BigInt(slice.n),
    oldAccuracy: rate(slice.oldAccuracy),
    newAccuracy: rate(slice.newAccuracy),
    negativeFlips: rate(slice.negativeFlips),
    positiveFlips: rate(slice.positiveFlips),
    inconsistentFlips: rate(slice.inconsistentFlips),
    backwardTrust: slice.backwardTrust,
    mcnemarP: slice.mcnemarP,
  });
}
