import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { RouterReport } from '@thalamus/compatibility';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';

/** A comparison of two router models that is stored. */
export interface StoredComparison {
  readonly digest: string;
  readonly report: RouterReport;
}

/** Who should decide in whose place, and what speaks for it. */
export interface WantedActivation {
  readonly next: registryV1.RouterModel;
  /** Who decides for the task now. */
  readonly active: registryV1.RouterModel | undefined;
  readonly comparison: StoredComparison | undefined;
  readonly reason: string;
}

/** name@version. */
export function routerName({ name, version }: Pick<registryV1.RouterModel, 'name' | 'version'>): string {
  return `${name}@${version}`;
}

/**
 * How a router model comes to decide. The first of a task is free; in the place of another it needs a comparison of both that passed, or a
 * reason. A comparison that is shown must be of both, whatever else is said.
 * @throws RELEASE_CONFLICT that says what to do
 */
export function activation(wanted: WantedActivation, nowMs: number): registryV1.RouterActivation {
  const { next, active, comparison } = wanted;
  const reason = wanted.reason.trim();
  if (active) {
    if (comparison) requireSame(comparison.report, active, next);
    if (reason === '') requirePassed(comparison, active, next);
  }
  return create(registryV1.RouterActivationSchema, {
    previous: active ? routerName(active) : '',
    comparisonDigest: active ? (comparison?.digest ?? '') : '',
    reason,
    at: timestampFromMs(nowMs),
  });
}

function requireSame(
  { before, after }: RouterReport,
  active: registryV1.RouterModel,
  next: registryV1.RouterModel,
): void {
  if (before.digest === active.manifestDigest && after.digest === next.manifestDigest) return;
  throw new ThalamusError(
    'RELEASE_CONFLICT',
    `The comparison is of ${routerName(before)} (${before.digest}) and ${routerName(after)} (${after.digest}), but ${routerName(active)} (${active.manifestDigest}) decides for ${active.task} and ${routerName(next)} (${next.manifestDigest}) should; compare these two with "thalamus router compare".`,
    { metadata: { active: routerName(active) } },
  );
}

function requirePassed(
  comparison: StoredComparison | undefined,
  active: registryV1.RouterModel,
  next: registryV1.RouterModel,
): void {
  if (comparison?.report.gate.status === 'passed') return;
  const own = routerName(next);
  const fact = comparison
    ? `The gate ${comparison.report.gate.gate} says "${comparison.report.gate.status}" of ${own} in the place of ${routerName(active)}; give a reason to go on in spite of it`
    : `${routerName(active)} decides for ${active.task}. For ${own} to take its place, compare both ("thalamus router compare --json") and show what was printed ("thalamus router promote ${own} --comparison FILE"), or give a reason`;
  throw new ThalamusError('RELEASE_CONFLICT', `${fact} ("thalamus router promote ${own} --reason TEXT").`, {
    metadata: { active: routerName(active), ...(comparison ? { comparison: comparison.digest } : {}) },
  });
}

/** How the router model from before comes to decide again: what it replaced in its time stays known. */
export function givenBack(
  previous: registryV1.RouterModel,
  takenBack: registryV1.RouterModel,
  reason: string,
  nowMs: number,
): registryV1.RouterActivation {
  return create(registryV1.RouterActivationSchema, {
    previous: previous.activation?.previous ?? '',
    reason,
    at: timestampFromMs(nowMs),
    rolledBack: routerName(takenBack),
  });
}
