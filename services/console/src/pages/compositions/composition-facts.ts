import type {
  ComposedParent,
  CompositionReport,
  CompositionRow,
  Weighing,
} from '../../api/composition-types.js';

/** Parents beyond this many look alike: they share one colour. */
const MOST_COLOURS = 10;
const MINUTE_MS = 60_000;
const UNITS = [
  { name: 'd', ms: 24 * 60 * MINUTE_MS },
  { name: 'h', ms: 60 * MINUTE_MS },
  { name: 'min', ms: MINUTE_MS },
] as const;

/** Name and version as one word. */
export const compositionKey = ({ name, version }: Pick<CompositionRow, 'name' | 'version'>) =>
  `${name}@${version}`;

/** Colour of a parent by its place, the same in every picture. */
export const colourOf = (at: number) => Math.min(at, MOST_COLOURS);

/** Share in percent; a dash where it is not known. */
export function shareText(share: number | null, digits = 1): string {
  return share === null ? '–' : `${(100 * share).toFixed(digits)} %`;
}

/** A time span, in its largest whole unit. */
export function spanText(ms: number): string {
  const unit = UNITS.find((own) => ms >= own.ms);
  return unit ? `${Math.floor(ms / unit.ms)} ${unit.name}` : 'less than 1 min';
}

/** How long ago it was made; a dash where that is not known. */
export function ageText({ createdAt }: Pick<CompositionRow, 'createdAt'>, now: number): string {
  return createdAt === null ? '–' : spanText(now - Date.parse(createdAt));
}

/** When it ends unless it is used. */
export function expiryText({ expiresAt }: Pick<CompositionRow, 'expiresAt'>, now: number): string {
  if (expiresAt === null) return 'never';
  const left = Date.parse(expiresAt) - now;
  return left <= 0 ? 'now' : `in ${spanText(left)}`;
}

/**
 * What the composition loses against a parent, in points: of accuracy, or of the normalised score of a masked language model; negative
 * where it gains.
 */
export function lostPoints({
  parentAccuracy,
  accuracy,
  nats,
  normalized,
}: Pick<ComposedParent, 'parentAccuracy' | 'accuracy' | 'nats' | 'normalized'>): number | undefined {
  if (nats !== null && normalized !== null) return 100 * (1 - normalized);
  return parentAccuracy === null || accuracy === null ? undefined : 100 * (parentAccuracy - accuracy);
}

/** How the parent alone and the composition do at its task: a share, or nats of a masked language model. */
export function scoreTexts({ parentAccuracy, accuracy, parentNats, nats }: ComposedParent): {
  readonly alone: string;
  readonly composed: string;
} {
  const natsText = (value: number | null) => (value === null ? '–' : `${value.toFixed(3)} nats`);
  return nats === null
    ? { alone: shareText(parentAccuracy), composed: shareText(accuracy) }
    : { alone: natsText(parentNats), composed: natsText(nats) };
}

/** Lengths of the bar of the composition and of the mark of the parent, 0 to 1: accuracies, or probabilities exp(-nats). */
export function scoreShares({ parentAccuracy, accuracy, parentNats, nats }: ComposedParent): {
  readonly alone: number | null;
  readonly composed: number | null;
} {
  if (nats === null || parentNats === null) return { alone: parentAccuracy, composed: accuracy };
  return { alone: Math.exp(-parentNats), composed: Math.exp(-nats) };
}

/** The same with its sign, as a change. */
export function pointsText(lost: number | undefined): string {
  if (lost === undefined) return '–';
  const text = Math.abs(lost).toFixed(1);
  if (text === '0.0') return '0.0';
  return lost > 0 ? `−${text}` : `+${text}`;
}

/** The parent whose task it does worst at, as a share of what the parent does. */
export function worstParent(parents: readonly ComposedParent[]): ComposedParent | undefined {
  return parents
    .filter(({ normalized }) => normalized !== null)
    .toSorted((a, b) => (a.normalized ?? 0) - (b.normalized ?? 0))[0];
}

/** The parents in a line, the rest as a number. */
export function parentsText(parents: readonly ComposedParent[], most = 3): string {
  const names = parents.slice(0, most).map(({ name }) => name);
  const rest = parents.length - names.length;
  return rest > 0 ? `${names.join(' + ')} + ${rest} more` : names.join(' + ');
}

/** A share of the full rank: small ones with their digits. */
export const fractionText = (fraction: number) => `${Number((100 * fraction).toPrecision(2))} %`;

/** Ranks that differ: small shares of a small rank come to the same, of which the largest stands for all. */
export function distinctRanks(ranks: CompositionReport['ranks']): CompositionReport['ranks'] {
  return ranks.filter(({ bytes }, at) => bytes !== ranks[at + 1]?.bytes);
}

/** Index of the parent whose head answered: by name, or by weight where its name is not for the caller to see. */
export function headOf({ parent, weights }: Weighing, parents: readonly ComposedParent[]): number {
  const named = parents.findIndex(({ name }) => name === parent);
  return named >= 0 ? named : weights.indexOf(Math.max(...weights));
}

/** A line from a parent to the composition, in a picture of the width 100 and one row for each parent. */
export function lineagePath(at: number, parents: number, row: number): string {
  const from = (at + 0.5) * row;
  const to = (parents * row) / 2;
  return `M0 ${from} C50 ${from} 50 ${to} 100 ${to}`;
}
