import {
  pairedBootstrap,
  relativeCut,
  wilson,
  type MeanInterval,
  type Rate,
  type RelativeCut,
} from '@thalamus/compatibility';
import { groupedBootstrap } from '../router/grouped-bootstrap.js';

/** What became of a prompt. */
export interface ReroutedItem {
  /** Kinds of prompts that it belongs to. */
  readonly slices: readonly string[];
  /** Near-duplicates have the same, and are drawn together. */
  readonly group: string;
  readonly isOldRight: boolean;
  readonly isNewRight: boolean;
  /** Whether it goes to the old version. */
  readonly isSentBack: boolean;
}

/** Negative and positive flips against the old version. */
export interface FlipRates {
  readonly nfr: Rate;
  readonly pfr: Rate;
}

/** Figures of all prompts, or of a kind of them; intervals are of 95 %. */
export interface RerouteFigures {
  readonly n: number;
  /** Share that goes to the old version. */
  readonly sentBack: Rate;
  /** Share of right answers; `oracle` has whichever version is right. */
  readonly accuracy: {
    readonly old: Rate;
    readonly new: Rate;
    readonly routed: Rate;
    readonly oracle: Rate;
  };
  /** Of the new version alone. */
  readonly before: FlipRates;
  /** Of the version that each prompt is sent to. */
  readonly after: FlipRates;
  /** Share of the negative flips that is gone; NaN where there was none. */
  readonly cut: RelativeCut;
  /** Accuracy of the routed less that of the new version alone, and of the old one alone. */
  readonly accuracyChange: MeanInterval;
  readonly beyondOld: MeanInterval;
}

/** Whether old and new version side by side repair an update. */
export type RerouteVerdict = 'repaired' | 'worse' | 'not-shown';
/** What both together do beyond the old version alone. */
export type RerouteCredit = 'beyond-old' | 'not-separated' | 'old-better';

/** Figures on prompts that whoever sent them had not seen, judged. */
export interface RerouteJudgement extends RerouteFigures {
  /** Negative flips that are gone beyond those that go when as many prompts are sent back by chance: a share of all prompts. */
  readonly beyondChance: MeanInterval;
  /** By kind, largest first. */
  readonly slices: readonly (RerouteFigures & { readonly slice: string })[];
  readonly verdict: RerouteVerdict;
  readonly credit: RerouteCredit;
  /** Both in words. */
  readonly reason: string;
}

const SEED = 20_261_129;

/**
 * Judges who goes where. `worse`: less accuracy than the new version alone, beyond chance. `repaired`: fewer negative flips, beyond chance,
 * with more accuracy or with a better hand than chance has, since any prompts sent back take their flips along. Else `not-shown`.
 * @throws RangeError without items
 */
export function judgeReroute(items: readonly ReroutedItem[]): RerouteJudgement {
  const figures = rerouteFigures(items);
  const beyondChance = flipsBeyondChance(items);
  const { cut, accuracyChange, beyondOld } = figures;
  const isBetter = cut.low > 0 && (accuracyChange.low > 0 || beyondChance.low > 0);
  const verdict = accuracyChange.high < 0 ? 'worse' : isBetter ? 'repaired' : 'not-shown';
  const credit = beyondOld.low > 0 ? 'beyond-old' : beyondOld.high < 0 ? 'old-better' : 'not-separated';
  const reason = reasonOf(figures, verdict, credit);
  return { ...figures, beyondChance, slices: slicesOf(items), verdict, credit, reason };
}

function slicesOf(items: readonly ReroutedItem[]): RerouteJudgement['slices'] {
  const members = new Map<string, ReroutedItem[]>();
  for (const item of items)
    for (const slice of item.slices) {
      const own = members.get(slice);
      if (own) own.push(item);
      else members.set(slice, [item]);
    }
  return [...members]
    .sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))
    .map(([slice, own]) => ({ slice, ...rerouteFigures(own) }));
}

/** The figures of items. @throws RangeError without items */
export function rerouteFigures(items: readonly ReroutedItem[]): RerouteFigures {
  const n = items.length;
  const groups = items.map(({ group }) => group);
  const rate = (is: (item: ReroutedItem) => boolean) => wilson(items.filter(is).length, n);
  const difference = (of: (item: ReroutedItem) => boolean) =>
    pairedBootstrap(
      items.map((item) => Number(isRoutedRight(item)) - Number(of(item))),
      { seed: SEED, groups },
    );
  return {
    n,
    sentBack: rate(({ isSentBack }) => isSentBack),
    accuracy: {
      old: rate(isOldRight),
      new: rate(isNewRight),
      routed: rate(isRoutedRight),
      oracle: rate((item) => isOldRight(item) || isNewRight(item)),
    },
    before: {
      nfr: rate((item) => isOldRight(item) && !isNewRight(item)),
      pfr: rate((item) => !isOldRight(item) && isNewRight(item)),
    },
    after: {
      nfr: rate((item) => isOldRight(item) && !isRoutedRight(item)),
      pfr: rate((item) => !isOldRight(item) && isRoutedRight(item)),
    },
    cut: relativeCut(
      items.map((item) => isOldRight(item) && !isNewRight(item)),
      items.map((item) => isOldRight(item) && !isRoutedRight(item)),
      { seed: SEED, groups },
    ),
    accuracyChange: difference(isNewRight),
    beyondOld: difference(isOldRight),
  };
}

const isOldRight = (item: ReroutedItem) => item.isOldRight;
const isNewRight = (item: ReroutedItem) => item.isNewRight;
const isRoutedRight = (item: ReroutedItem) => (item.isSentBack ? item.isOldRight : item.isNewRight);

/** Share of prompts that are flips and sent back, less share of flips times share sent back. */
function flipsBeyondChance(items: readonly ReroutedItem[]): MeanInterval {
  const flips = items.map((item) => Number(item.isOldRight && !item.isNewRight));
  const sent = items.map(({ isSentBack }) => Number(isSentBack));
  const figure = (rows: readonly number[]) => {
    const share = (of: (row: number) => number) => rows.reduce((sum, row) => sum + of(row), 0) / rows.length;
    const [flip, back] = [share((row) => flips[row]!), share((row) => sent[row]!)];
    return share((row) => flips[row]! * sent[row]!) - flip * back;
  };
  const groups = items.map(({ group }) => group);
  const [low, high] = groupedBootstrap(figure, groups, SEED);
  return { mean: figure(items.map((_, row) => row)), low, high };
}

function reasonOf(figures: RerouteFigures, verdict: RerouteVerdict, credit: RerouteCredit): string {
  const { n, before, after, sentBack, accuracyChange, beyondOld } = figures;
  const points = ({ mean, low, high }: MeanInterval) =>
    `${signed(mean)} points (${signed(low)} to ${signed(high)})`;
  const fact = `${after.nfr.count} of ${n} prompts flip from right to wrong where ${before.nfr.count} did; ${(100 * sentBack.value).toFixed(1)} % go to the old version, and accuracy changes by ${points(accuracyChange)}`;
  const because = {
    repaired: 'fewer flips than with the new version alone, beyond chance',
    worse: 'less accuracy than with the new version alone, beyond chance',
    'not-shown': 'nothing that chance does not do as well',
  }[verdict];
  const owed = {
    'beyond-old': 'Better than the old version alone',
    'not-separated': 'Not told from the old version alone, which is simpler to keep',
    'old-better': 'Worse than the old version alone, which is simpler to keep',
  }[credit];
  return `${fact}: ${because}. ${owed}: ${points(beyondOld)}.`;
}

const signed = (value: number) => `${value >= 0 ? '+' : ''}${(100 * value).toFixed(1)}`;
