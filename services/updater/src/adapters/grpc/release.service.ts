import type { MessageInitShape } from '@bufbuild/protobuf';
import { parseDigest, readArtifact, type ArtifactStore } from '@thalamus/bundle';
import {
  compareVersions,
  parsePredictions,
  type Prediction,
  type SliceComparison,
  type Verdict,
} from '@thalamus/compatibility';
import { registryV1, releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import type { RegistryView } from '@thalamus/registry';
import type { SetChannel } from '../../application/set-channel.js';
import { actorOf } from './actor.js';

const MAX_PREDICTION_BYTES = 256 * 2 ** 20;
/** Largest file in a call; larger ones come from the artifact store. */
const MAX_INLINE_BYTES = 3 * 2 ** 20;
const DEFAULT_BUDGET = 0.01;
const DEFAULT_ITEMS = 20;

const VERDICTS: Readonly<Record<Verdict, releaseV1.Verdict>> = {
  compatible: releaseV1.Verdict.COMPATIBLE,
  incompatible: releaseV1.Verdict.INCOMPATIBLE,
  inconclusive: releaseV1.Verdict.INCONCLUSIVE,
};

type File = { readonly case: string | undefined; readonly value?: unknown };

/** thalamus.release.v1: comparison and promotion; staged rollouts are not offered by this version. */
export class ReleaseGrpcService implements ServiceImplementation<typeof releaseV1.ReleaseService> {
  constructor(
    private readonly artifacts: ArtifactStore,
    private readonly view: RegistryView,
    private readonly channels: SetChannel,
  ) {}

  async compare(
    request: releaseV1.CompareRequest,
  ): Promise<MessageInitShape<typeof releaseV1.CompareResponseSchema>> {
    const budget = request.negativeFlipBudget === 0 ? DEFAULT_BUDGET : request.negativeFlipBudget;
    if (!(budget > 0 && budget <= 1)) {
      throw new ThalamusError(
        'REQUEST_INVALID',
        `negative_flip_budget is ${budget}; it is a share between 0 and 1.`,
        { violations: [{ field: 'negative_flip_budget', description: 'between 0 and 1' }] },
      );
    }
    const before = await this.predictions(request.old, 'the old predictions');
    const after = await this.predictions(request.new, 'the new predictions');
    const comparison = compareVersions(before, after, budget);
    return {
      verdict: VERDICTS[comparison.verdict],
      overall: sliceMessage(comparison.overall),
      slices: comparison.slices.map(sliceMessage),
      items: comparison.items.slice(0, request.maxItems || DEFAULT_ITEMS),
      reason: comparison.reason,
      negativeFlipBudget: budget,
    };
  }

  async promote(request: releaseV1.PromoteRequest, context: CallContext) {
    if (request.releaseId !== '')
      throw new ThalamusError(
        'RESOURCE_NOT_FOUND',
        `No release ${request.releaseId} exists; leave release_id empty and give a reason to promote a version directly.`,
      );
    if (request.reason.trim() === '') {
      throw new ThalamusError(
        'REQUEST_INVALID',
        'reason is empty; a promotion without a release is recorded with the reason for it.',
        { violations: [{ field: 'reason', description: 'must not be empty' }] },
      );
    }
    const previousVersion = this.view.expert(request.expert)?.stable ?? '';
    const actor = { ...actorOf(context, 'release.Promote'), reason: request.reason };
    const wanted = { expert: request.expert, channel: registryV1.Channel.STABLE, version: request.version };
    const resource = await this.channels.run(
      {
        ...wanted,
        ...(request.expectedRevision === undefined ? {} : { expectedRevision: request.expectedRevision }),
      },
      actor,
    );
    return { expert: request.expert, version: request.version, previousVersion, revision: resource.revision };
  }

  start() {
    return Promise.reject(unsupported('Start'));
  }

  getRelease() {
    return Promise.reject(unsupported('GetRelease'));
  }

  async listReleases() {
    return Promise.resolve({ releases: [] });
  }

  rollBack() {
    return Promise.reject(unsupported('RollBack'));
  }

  repair() {
    return Promise.reject(unsupported('Repair'));
  }

  private async predictions(file: File, label: string): Promise<Prediction[]> {
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

function utf8(bytes: Uint8Array, label: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ThalamusError('DATASET_INVALID', `The file of ${label} is not UTF-8.`);
  }
}

function unsupported(method: string): ThalamusError {
  return new ThalamusError(
    'METHOD_UNSUPPORTED',
    `${method} is not offered by this version: compare predictions with Compare, then make a version stable with Promote; Promote of the former version rolls back.`,
  );
}

function sliceMessage(slice: SliceComparison): MessageInitShape<typeof releaseV1.SliceComparisonSchema> {
  const rate = (value: SliceComparison['negativeFlips']) => ({ ...value, count: BigInt(value.count) });
  return {
    slice: slice.slice,
    n: BigInt(slice.n),
    oldAccuracy: rate(slice.oldAccuracy),
    newAccuracy: rate(slice.newAccuracy),
    negativeFlips: rate(slice.negativeFlips),
    positiveFlips: rate(slice.positiveFlips),
    inconsistentFlips: rate(slice.inconsistentFlips),
    backwardTrust: slice.backwardTrust,
    mcnemarP: slice.mcnemarP,
  };
}
