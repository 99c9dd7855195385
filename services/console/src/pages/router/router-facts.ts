import type {
  BaselineRow,
  MeasuredFigure,
  PromptMap,
  RouterReport,
  RouterRow,
  SpaceName,
} from '../../api/types.js';

/** What each baseline does, in words. */
const BASELINES: Readonly<Record<string, string>> = {
  oracle: 'Oracle',
  random: 'By chance',
  majority: 'Most often best',
  bestSingle: 'Best single',
  labelThenBest: 'Best for the domain',
  knn: 'Nearest prompts',
  tfidfKnn: 'Nearest by words',
  fastAlone: 'Fast stage alone',
  accurateAlone: 'Accurate stage alone',
};

/** What each baseline knows, for who has not read the paper. */
const MEANINGS: Readonly<Record<string, string>> = {
  oracle: 'knows every loss beforehand: nothing can do better',
  random: 'each expert equally often',
  majority: 'always the expert that was most often the best',
  bestSingle: 'always the expert with the least mean loss',
  labelThenBest: 'is told the domain of the prompt, which a router is not',
  knn: 'experts that did well on similar vectors',
  tfidfKnn: 'experts that did well on similar words',
  fastAlone: 'never runs the graph of the encoder',
  accurateAlone: 'runs the graph of the encoder for every prompt',
};

/** A bar of the regret chart. */
export interface RegretBar {
  readonly key: string;
  readonly label: string;
  readonly meaning: string;
  readonly regret: number;
  readonly loss: number;
  readonly interval: readonly [number, number] | null;
  /** Of a baseline: by how much it is worse than the router. */
  readonly behind: readonly [number, number] | null;
  readonly isRouter: boolean;
}

/** How a router model came to decide, in one sentence; undefined where it never did. */
export function activationText({ activation }: RouterRow): string | undefined {
  if (!activation) return undefined;
  const { at, previous, rolledBack, comparison, reason } = activation;
  const since = at === null ? '' : ` since ${new Date(at).toLocaleString('en-GB')}`;
  const instead = rolledBack
    ? `, as ${rolledBack} was taken back`
    : previous
      ? `, in the place of ${previous}`
      : '';
  const why = reason ?? (comparison === null ? undefined : 'a comparison on measured prompts passed');
  return `Decides${since}${instead}${why === undefined ? '' : `: ${why}`}`;
}

/** The router among the baselines, least regret first; the oracle, whose regret is 0, is the start of the scale. */
export function regretBars({ figures, baselines }: RouterReport): RegretBar[] {
  const router: RegretBar = {
    key: 'router',
    label: 'This router',
    meaning: 'the least predicted loss',
    regret: figures.regret.value,
    loss: figures.loss.value,
    interval: figures.regret.interval,
    behind: null,
    isRouter: true,
  };
  const others = baselines
    .filter(({ name }) => name !== 'oracle')
    .map((row): RegretBar => ({
      key: row.name,
      label: baselineName(row),
      meaning: MEANINGS[row.name] ?? '',
      regret: row.regret,
      loss: row.loss,
      interval: null,
      behind: row.behind,
      isRouter: false,
    }));
  return [router, ...others].sort((a, b) => a.regret - b.regret);
}

/** Name of a baseline, with the expert that it always takes. */
export function baselineName({ name, expert }: BaselineRow): string {
  const known = BASELINES[name] ?? name;
  return expert === null ? known : `${known}: ${expert}`;
}

/** A loss in words: a share of errors, or nats. */
export function lossText(loss: number, unit: RouterReport['lossUnit']): string {
  return unit === 'error' ? `${(100 * loss).toFixed(1)} %` : `${loss.toFixed(3)} nats`;
}

/** An interval of losses, without repeating the unit. */
export function intervalText(
  interval: MeasuredFigure['interval'],
  unit: RouterReport['lossUnit'],
): string | undefined {
  if (!interval) return undefined;
  const [low, high] = interval;
  return unit === 'error'
    ? `${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)} %`
    : `${low.toFixed(3)} to ${high.toFixed(3)}`;
}

/** Share in percent. */
export const percent = (share: number, digits = 0): string => `${(100 * share).toFixed(digits)} %`;

/** What the spaces of the map are, before training and after. */
export const SPACES: Readonly<Record<SpaceName, { readonly name: string; readonly meaning: string }>> = {
  encoder: { name: 'Encoder', meaning: 'before training: vectors of the base' },
  features: { name: 'Features', meaning: 'after training: what the heads read' },
  losses: { name: 'Predicted losses', meaning: 'after training: what the heads say of each expert' },
};

/** Classes beyond this many look alike: they share one colour. */
export const MOST_COLOURS = 10;

/** A class of prompts on the map. */
export interface MapClass {
  readonly name: string;
  readonly count: number;
  /** 0 to 9; `MOST_COLOURS` for what has no colour of its own. */
  readonly colour: number;
}

/** What the prompts of a map are coloured by. */
export interface Colouring {
  readonly classes: readonly MapClass[];
  /** Index of the class of each prompt. */
  readonly of: readonly number[];
}

/** Colours by control label and by chosen expert. A domain that is named as an expert has its colour. */
export function colourings({ map, experts }: Pick<RouterReport, 'map' | 'experts'>): {
  readonly domain: Colouring;
  readonly expert: Colouring;
} {
  const taken = countsOf(map.chosen, experts.length);
  const byUse = experts
    .map((name, at) => ({ name, count: taken[at] ?? 0, at }))
    .sort((a, b) => b.count - a.count || a.at - b.at);
  const colourOf = new Map(byUse.map(({ name }, place) => [plain(name), Math.min(place, MOST_COLOURS)]));
  const own = map.labels.map((label) => colourOf.get(plain(label)));
  const isTaken = new Set(own);
  const free = Array.from({ length: MOST_COLOURS }, (_, colour) => colour).filter(
    (colour) => !isTaken.has(colour),
  );
  const labelCounts = countsOf(map.label, map.labels.length);
  return {
    domain: {
      of: map.label,
      classes: map.labels.map((name, at) => ({
        name,
        count: labelCounts[at] ?? 0,
        colour: own[at] ?? free.shift() ?? MOST_COLOURS,
      })),
    },
    expert: {
      of: map.chosen,
      classes: experts.map((name, at) => ({
        name,
        count: taken[at] ?? 0,
        colour: colourOf.get(plain(name)) ?? MOST_COLOURS,
      })),
    },
  };
}

/** How often each chosen expert has each label: the map without a picture. Rows by label, columns by expert. */
export function crossTable({ labels, label, chosen }: PromptMap, experts: readonly string[]): number[][] {
  return labels.map((_, row) =>
    experts.map((__, expert) => chosen.filter((own, at) => own === expert && label[at] === row).length),
  );
}

/** Router models that may be chosen: those that decide first. */
export function routerChoices(routers: readonly RouterRow[]): { value: string; label: string }[] {
  return routers.map((router) => ({
    value: routerKey(router),
    label: `${router.name}@${router.version} · ${router.task}${router.active ? '' : ' · not active'}`,
  }));
}

/** Name and version as one word. */
export const routerKey = ({ name, version }: Pick<RouterRow, 'name' | 'version'>) => `${name}@${version}`;

const plain = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

function countsOf(indices: readonly number[], length: number): number[] {
  const counts = new Map<number, number>();
  for (const index of indices) counts.set(index, (counts.get(index) ?? 0) + 1);
  return Array.from({ length }, (_, index) => counts.get(index) ?? 0);
}
