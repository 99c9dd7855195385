import { expertRole, JOB_ARTIFACTS, registryV1, type LossTableParameters } from '@thalamus/contracts';
import { invalid, json, type JobPlan } from './job-plan.js';
import { CLASSIFICATION_TASK, MASK_TASK, type RegisteredInputs } from './registered-inputs.js';

const { ExpertKind } = registryV1;
const FIELD = 'parameters.experts';
/** Kinds of masked language models that are measured. */
const MASK_KINDS: ReadonlySet<registryV1.ExpertKind> = new Set([ExpertKind.FULL, ExpertKind.LOWRANK]);
/** How prompts are masked when nobody says otherwise: as `thalamus router table` does. */
const MASKING = { masks: 4, seed: 0 };

/**
 * What one part of a loss table reads: the prompts, every expert and the base that they stand on.
 * @throws EXPERT_NOT_FOUND, RESOURCE_NOT_FOUND; REQUEST_INVALID for experts that are not measured, or not on one scale
 */
export function planLossTable(wanted: LossTableParameters, registered: RegisteredInputs): JobPlan {
  const versions = wanted.experts.map((reference) => registered.version(FIELD, reference));
  const task = measuredTask(versions);
  const data = registered.dataset('parameters.dataset', wanted.dataset);
  const isMasked = task === MASK_TASK;
  for (const field of ['masks', 'seed'] as const)
    if (!isMasked && wanted[field] !== undefined)
      throw invalid(`parameters.${field}`, `has no effect on ${task}; leave it away`);
  const base = baseOf(versions, wanted, registered);
  return {
    parameters: json({ ...(isMasked ? MASKING : {}), ...wanted }),
    inputs: [
      { name: JOB_ARTIFACTS.data, digest: data.digest },
      ...versions.map(({ manifestDigest }, at) => ({ name: expertRole(at + 1), digest: manifestDigest })),
      ...(base === undefined ? [] : [{ name: JOB_ARTIFACTS.base, digest: base }]),
    ],
  };
}

/** The one task of all. Losses of two tasks do not compare. @throws REQUEST_INVALID */
function measuredTask(versions: readonly registryV1.ExpertVersion[]): string {
  for (const version of versions) {
    const { task, kind } = version;
    const isMeasured =
      (task === CLASSIFICATION_TASK && kind !== ExpertKind.UPSTREAM) ||
      (task === MASK_TASK && MASK_KINDS.has(kind));
    if (!isMeasured)
      throw invalid(
        FIELD,
        `${nameOf(version)} is ${ExpertKind[kind].toLowerCase()} for ${task}; losses are measured of local experts for ${CLASSIFICATION_TASK} and ${MASK_TASK}, so take it out`,
      );
  }
  const [first] = versions as [registryV1.ExpertVersion];
  const odd = versions.find(({ task }) => task !== first.task);
  if (odd)
    throw invalid(
      FIELD,
      `${nameOf(first)} is for ${first.task}, ${nameOf(odd)} for ${odd.task}: losses of two tasks do not compare; make a table for each`,
    );
  return first.task;
}

/**
 * Digest of the base that all stand on. Masked language models that stand alone are measured with the word pieces of a base too;
 * classifiers that stand alone need none.
 */
function baseOf(
  versions: readonly registryV1.ExpertVersion[],
  { base: reference }: LossTableParameters,
  registered: RegisteredInputs,
): string | undefined {
  const named = reference === undefined ? undefined : registered.base(reference).manifestDigest;
  const standing = versions.filter(({ baseDigest }) => baseDigest !== '');
  const digest = named ?? standing[0]?.baseDigest;
  const odd = standing.find(({ baseDigest }) => baseDigest !== digest);
  if (odd && named !== undefined)
    throw invalid('parameters.base', `${nameOf(odd)} stands on another base than ${reference ?? ''}`);
  if (odd && standing[0])
    throw invalid(
      FIELD,
      `${nameOf(standing[0])} and ${nameOf(odd)} stand on different bases; make a table for each base`,
    );
  if (digest !== undefined) return digest;
  return versions[0]?.task === MASK_TASK ? registered.base(undefined).manifestDigest : undefined;
}

function nameOf({ expert, version }: registryV1.ExpertVersion): string {
  return `${expert}@${version}`;
}
