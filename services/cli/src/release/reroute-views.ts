import type { Rerouted, RerouteFigures } from '@thalamus/training';
import { table } from '../output.js';
import { cell, plain } from '../shown-text.js';
import type { Ends } from './comparison-answer.js';

/** Kinds that a view shows at most; the JSON answer has all. */
const SHOWN_SLICES = 20;
const SIGNS = { repaired: '✅', worse: '❌', 'not-shown': '❔' } as const;
const HEAD = ['prompts', 'n', 'sent back', 'old', 'new', 'routed', 'NFR', 'cut (95 %)', 'PFR'];

/** Where the router model and its table went. */
export interface ReroutePlaces {
  readonly old: string;
  readonly new: string;
  readonly router: string;
  readonly folder: string | null;
  readonly digest: string | null;
  readonly table: string | null;
}

/** The answer of `release reroute`. */
export type RerouteAnswer = ReturnType<typeof rerouteAnswer>;

/** Figures of all prompts, or of a kind, as `release reroute --json` names them. */
export interface RerouteFiguresAnswer {
  readonly n: number;
  readonly sentBack: number;
  readonly accuracyOld: number;
  readonly accuracyNew: number;
  readonly accuracyRouted: number;
  readonly accuracyOracle: number;
  readonly nfrBefore: number;
  readonly nfr: number;
  readonly pfrBefore: number;
  readonly pfr: number;
  /** Null where there was no negative flip. */
  readonly cut: number | null;
  readonly accuracyChange: number;
  readonly beyondOld: number;
  /** By name of figure. */
  readonly intervals: Readonly<Record<string, Ends>>;
}

/** What is said of a reroute, as JSON. */
export function rerouteAnswer(
  { judgement, folds, trained, table: { rows, digest } }: Rerouted,
  { old, new: own, ...places }: ReroutePlaces,
) {
  const { verdict, credit, reason, beyondChance, slices } = judgement;
  const { margin, share } = trained.margin.chosen;
  return {
    router: places.router,
    folder: places.folder,
    digest: places.digest,
    table: { file: places.table, digest },
    old,
    new: own,
    verdict,
    credit,
    reason,
    ...figuresAnswer(judgement),
    prompts: new Set(rows.map(({ doc }) => doc)).size,
    beyondChance: { value: beyondChance.mean, ...ends(beyondChance) },
    slices: slices.map(({ slice, ...figures }) => ({ slice, ...figuresAnswer(figures) })),
    fitted: { margin, sentBack: share, learner: trained.choice.chosen.learner, why: trained.margin.why },
    folds,
  };
}

const ends = ({ low, high }: Ends): Ends => ({ low, high });

function figuresAnswer(figures: RerouteFigures): RerouteFiguresAnswer {
  const { n, sentBack, accuracy, before, after, cut, accuracyChange, beyondOld } = figures;
  const isCut = Number.isFinite(cut.value);
  return {
    n,
    sentBack: sentBack.value,
    accuracyOld: accuracy.old.value,
    accuracyNew: accuracy.new.value,
    accuracyRouted: accuracy.routed.value,
    accuracyOracle: accuracy.oracle.value,
    nfrBefore: before.nfr.value,
    nfr: after.nfr.value,
    pfrBefore: before.pfr.value,
    pfr: after.pfr.value,
    cut: isCut ? cut.value : null,
    accuracyChange: accuracyChange.mean,
    beyondOld: beyondOld.mean,
    intervals: {
      sentBack: ends(sentBack),
      accuracyOld: ends(accuracy.old),
      accuracyNew: ends(accuracy.new),
      accuracyRouted: ends(accuracy.routed),
      accuracyOracle: ends(accuracy.oracle),
      nfrBefore: ends(before.nfr),
      nfr: ends(after.nfr),
      pfrBefore: ends(before.pfr),
      pfr: ends(after.pfr),
      ...(isCut ? { cut: ends(cut) } : {}),
      accuracyChange: ends(accuracyChange),
      beyondOld: ends(beyondOld),
    },
  };
}

/** The same for people at a terminal. */
export function rerouteLines(answer: RerouteAnswer, out: string): string[] {
  const { verdict, reason, folder, fitted } = answer;
  return [
    `${verdict}: ${plain(reason)}`,
    '',
    ...table([HEAD, ...rows(answer)]),
    ...hidden(answer),
    '',
    ...facts(answer),
    ...(folder === null
      ? ['', 'No router model was written: every prompt would go to the new version.']
      : [
          '',
          `${folder}: sends ${percent(fitted.sentBack)} of these prompts to ${answer.old}.`,
          '',
          `  npx thalamus route "your prompt" --router ${out}`,
          `  npx thalamus router promote ${out} --reason "${percent(answer.nfr)} of the prompts flip instead of ${percent(answer.nfrBefore)}"`,
        ]),
  ];
}

/** The same as Markdown, fit for a comment of a pull request. */
export function rerouteReport(answer: RerouteAnswer): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [
    `### ${SIGNS[answer.verdict]} ${answer.new} beside ${answer.old}: ${answer.verdict}`,
    '',
    cell(answer.reason),
    '',
    line(HEAD),
    line(HEAD.map(() => '---')),
    ...rows(answer).map(line),
    ...hidden(answer),
    '',
    ...facts(answer).map((fact) => `- ${fact}`),
  ];
}

function rows({ slices, ...all }: RerouteAnswer): string[][] {
  return [row('all', all), ...slices.slice(0, SHOWN_SLICES).map((slice) => row(plain(slice.slice), slice))];
}

function row(name: string, own: RerouteFiguresAnswer): string[] {
  const { low = 0, high = 0 } = own.intervals['cut'] ?? {};
  return [
    name,
    String(own.n),
    percent(own.sentBack),
    percent(own.accuracyOld),
    percent(own.accuracyNew),
    percent(own.accuracyRouted),
    `${percent(own.nfrBefore)} → ${percent(own.nfr)}`,
    own.cut === null ? '-' : `${percent(own.cut)} (${percent(low)} to ${percent(high)})`,
    `${percent(own.pfrBefore)} → ${percent(own.pfr)}`,
  ];
}

function hidden({ slices }: RerouteAnswer): string[] {
  return slices.length > SHOWN_SLICES
    ? ['', `${slices.length - SHOWN_SLICES} more kinds of prompts; --json has them all.`]
    : [];
}

function facts({ prompts, fitted, accuracyOracle, beyondChance, old, folds }: RerouteAnswer): string[] {
  const margins = folds.map(({ margin }) => margin).join(', ');
  return [
    `Figures are of ${folds.length} folds: each prompt was sent by a router that had not seen it or a near-duplicate of it (${prompts} prompts differ).`,
    `Whichever version is right would have ${percent(accuracyOracle)}. Beyond what as many prompts sent back by chance do: ${percent(beyondChance.value)} of the prompts (95 % interval ${percent(beyondChance.low)} to ${percent(beyondChance.high)}).`,
    `A prompt goes to ${old} when that is predicted to err less by more than ${fitted.margin} (${fitted.learner}; in the folds ${margins}).`,
  ];
}

const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
