// Figures of who goes where on recorded updates, beside controls.
import { groupFolds, judgeReroute, rerouteFigures } from '@thalamus/training';

const FOLDS = 5;

/** Who is sent back by the true kind: where the old version is right more often on the other folds. */
export function kindRouted(prompts, groups, seed) {
  const foldOf = groupFolds(groups, FOLDS, seed);
  const gains = new Map();
  prompts.forEach(({ slices: [kind], before, after }, row) => {
    const own = gains.get(kind) ?? gains.set(kind, new Float64Array(FOLDS)).get(kind);
    own[foldOf[row]] += Number(before.isRight) - Number(after.isRight);
  });
  return prompts.map(({ slices: [kind] }, row) => {
    const own = gains.get(kind);
    return own.reduce((sum, gain) => sum + gain, 0) - own[foldOf[row]] > 0;
  });
}

/**
 * Figures of the router and of controls over all seeds: the means, with intervals for which a prompt is drawn with what all seeds made of it.
 * Those of the router also by seed, and with the judgement of the command.
 */
export function judged(prompts, groups, runs) {
  const kinds = [...new Set(prompts.map(({ slices: [kind] }) => kind))];
  const over = (sent, list = runs) =>
    list.flatMap((run) =>
      prompts.map(({ slices, before, after }, row) => ({
        slices,
        group: groups[row],
        isOldRight: before.isRight,
        isNewRight: after.isRight,
        isSentBack: sent(run, row),
      })),
    );
  const ways = {
    routed: over((run, row) => run.isSentBack[row]),
    new: over(() => false),
    old: over(() => true),
    kind: over((run, row) => run.byKind[row]),
    oracle: over((_, row) => prompts[row].before.isRight && !prompts[row].after.isRight),
  };
  const figures = Object.fromEntries(
    Object.entries(ways).map(([way, items]) => [
      way,
      {
        all: plain(rerouteFigures(items)),
        kinds: Object.fromEntries(
          kinds.map((kind) => [
            kind,
            plain(rerouteFigures(items.filter(({ slices }) => slices[0] === kind))),
          ]),
        ),
      },
    ]),
  );
  const beyondKind = difference(ways.routed, ways.kind);
  const seeds = runs.map((run) => {
    const { verdict, credit, reason, beyondChance, ...own } = judgeReroute(
      over((_, row) => run.isSentBack[row], [run]),
    );
    return { seed: run.seed, verdict, credit, reason, beyondChance, ...plain(own) };
  });
  return { prompts: prompts.length, groups: new Set(groups).size, figures, beyondKind, seeds };
}

/** Accuracy of one way less that of another: the second takes the place of the old version. */
function difference(own, other) {
  const items = own.map((item, at) => ({
    ...item,
    isOldRight: isRight(item),
    isNewRight: isRight(other[at]),
    isSentBack: true,
  }));
  return rerouteFigures(items).accuracyChange;
}

const isRight = ({ isSentBack, isOldRight, isNewRight }) => (isSentBack ? isOldRight : isNewRight);

/** What a page shows: shares as numbers, and the intervals of differences, in which seeds of one prompt are drawn together. */
function plain({ n, sentBack, accuracy, before, after, cut, accuracyChange, beyondOld }) {
  const short = (value) => (Number.isFinite(value) ? Number(value.toFixed(5)) : null);
  const ends = ({ low, high, ...own }) => ({
    value: short(own.value ?? own.mean),
    low: short(low),
    high: short(high),
  });
  return {
    n,
    sentBack: short(sentBack.value),
    accuracy: short(accuracy.routed.value),
    nfrBefore: short(before.nfr.value),
    pfrBefore: short(before.pfr.value),
    nfr: short(after.nfr.value),
    pfr: short(after.pfr.value),
    cut: ends(cut),
    accuracyChange: ends(accuracyChange),
    beyondOld: ends(beyondOld),
  };
}
