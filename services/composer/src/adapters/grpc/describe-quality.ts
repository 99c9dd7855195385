import type { MessageInitShape } from '@bufbuild/protobuf';
import type { composerV1 } from '@thalamus/contracts';
import type { ProbedQuality } from '../../application/probe-composition.js';

/** An estimate, or why there is none, as clients see it. */
export function describeQuality(
  probed: ProbedQuality,
): MessageInitShape<typeof composerV1.QualityEstimateSchema> {
  const tookMs = BigInt(probed.tookMs);
  if ('absent' in probed) return { absent: probed.absent, tookMs };
  const { tasks, ...estimate } = probed.estimate;
  return { ...estimate, tasks: tasks.map((task) => ({ ...task })), tookMs };
}
