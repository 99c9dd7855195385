import type { ModelContract, Probe } from '@thalamus/compatibility';
import type { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';

const FIELD = 'probes_digest';

/** A version as far as probes are about it. */
export interface ProbedVersion {
  /** name@version. */
  readonly name: string;
  readonly contract: Pick<ModelContract, 'task' | 'labels' | 'problemType' | 'upstream'>;
}

/** @throws REQUEST_INVALID for a version that cannot be asked for the one label of a text */
export function needAskable({ name, contract }: ProbedVersion): void {
  const { task, labels, problemType, upstream } = contract;
  if (upstream !== undefined) throw refused(`${name} is a remote model, and probes are asked of hosts alone`);
  if (task !== 'text-classification' || !labels)
    throw refused(`${name} serves ${task}, and probes are asked for labels: of text classifiers alone`);
  if (problemType === 'multi_label_classification')
    throw refused(`${name} gives several labels at once, and a probe has one`);
}

/** @throws REQUEST_INVALID for an item whose label neither version has; it is named by its place among the items */
export function needKnownLabels(probes: readonly Probe[], versions: readonly ProbedVersion[]): void {
  const known = new Set(versions.flatMap(({ contract }) => contract.labels ?? []));
  const at = probes.findIndex(({ label }) => !known.has(label));
  if (at < 0) return;
  const names = versions.map(({ name }) => name).join(' and ');
  throw refused(`item ${at + 1} has a label that is none of the ${known.size} of ${names}; mend the file`);
}

/** @throws REQUEST_INVALID when SHADOW rests on probes alone, and they are fewer than it needs */
export function needEnough({ minimumSamples, mirrorShare }: releaseV1.ReleasePlan, items: number): void {
  if (mirrorShare > 0 || items >= minimumSamples) return;
  throw refused(
    `${items} probes, nothing is mirrored, and SHADOW needs ${minimumSamples} samples: it would never end. Give more probes, a mirror_share above 0, or fewer minimum_samples`,
  );
}

function refused(why: string): ThalamusError {
  return new ThalamusError('REQUEST_INVALID', `The probes cannot be taken: ${why}.`, {
    violations: [{ field: FIELD, description: why }],
  });
}
