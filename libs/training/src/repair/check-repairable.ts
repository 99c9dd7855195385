import { digestOf, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { TrainingBase } from '../training-base.port.js';

/** A version of a classifier with the base that it stands on; undefined where it stands alone. */
export interface ExpertVersion {
  readonly expert: OpenedBundle<ExpertManifest>;
  readonly base: TrainingBase | undefined;
}

const nameOf = ({ expert: { manifest } }: Pick<ExpertVersion, 'expert'>) =>
  `${manifest.name}@${manifest.version}`;

/**
 * Holds two versions against what a repair needs: both classify texts by the same labels, in any order, out of the same tokens (MUSCLE,
 * arXiv 2407.09435, asks for one tokenizer); the new one is a low-rank expert. They may stand on different bases.
 * @throws METHOD_UNSUPPORTED, REQUEST_INVALID naming both versions and what differs
 */
export async function requireRepairable(from: ExpertVersion, to: ExpertVersion): Promise<void> {
  const [older, newer] = [from.expert.manifest, to.expert.manifest];
  for (const version of [from, to])
    if (version.expert.manifest.task !== 'text-classification')
      throw unsupported(
        `${nameOf(version)} is for ${version.expert.manifest.task}; repairing works on experts for text-classification.`,
      );
  if (newer.kind !== 'lowrank')
    throw unsupported(
      `${nameOf(to)} is ${newer.kind}; a repair trains a low-rank adapter from the new version's own: train it with "thalamus experts train --method lora".`,
    );
  if (from.expert.digest === to.expert.digest)
    throw refused(
      `--from and --to are the same bundle, ${nameOf(to)} ${to.expert.digest}; name the old version with --from.`,
    );
  requireSameLabels(from, to, older.labels ?? [], newer.labels ?? []);
  const [own, other] = await Promise.all([tokenizerOf(to), tokenizerOf(from)]);
  if (own !== other)
    throw refused(
      `${nameOf(from)} and ${nameOf(to)} read texts with different tokenizers (${other} and ${own}); a repair needs the same one in both versions.`,
    );
}

function requireSameLabels(
  from: ExpertVersion,
  to: ExpertVersion,
  older: readonly string[],
  newer: readonly string[],
): void {
  const missing = older.filter((label) => !newer.includes(label));
  const added = newer.filter((label) => !older.includes(label));
  if (missing.length === 0 && added.length === 0) return;
  const say = (labels: readonly string[]) =>
    `${labels
      .slice(0, 3)
      .map((label) => `"${label}"`)
      .join(', ')}${labels.length > 3 ? ` and ${labels.length - 3} more` : ''}`;
  const parts = [
    ...(missing.length > 0 ? [`only ${nameOf(from)} has ${say(missing)}`] : []),
    ...(added.length > 0 ? [`only ${nameOf(to)} has ${say(added)}`] : []),
  ];
  throw refused(
    `${nameOf(from)} and ${nameOf(to)} have other labels: ${parts.join('; ')}. A repair keeps answers that both can give; train the new version on the labels of the old one.`,
  );
}

async function tokenizerOf({ expert, base }: ExpertVersion): Promise<string> {
  const json = base ? base.tokenizerJson : await expert.readFile('tokenizer.json');
  return digestOf(json);
}

const unsupported = (message: string) => new ThalamusError('METHOD_UNSUPPORTED', message);
const refused = (message: string) => new ThalamusError('REQUEST_INVALID', message);
