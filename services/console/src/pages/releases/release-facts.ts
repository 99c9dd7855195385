import type {
  Flip,
  Rate,
  Release,
  ReleaseState,
  RuleStanding,
  RuleStatus,
  SliceFigures,
  TestReading,
  Transition,
} from '../../api/release-types.js';
import { spanText } from '../compositions/composition-facts.js';

/** Name, colour and meaning of each state. */
export const STATES: Readonly<Record<ReleaseState, { name: string; color: string; meaning: string }>> = {
  unspecified: { name: 'Unknown', color: 'gray', meaning: 'This console does not know the state.' },
  draft: { name: 'Draft', color: 'gray', meaning: 'Nothing is checked yet; no caller gets the candidate.' },
  compared: { name: 'Compared', color: 'gray', meaning: 'Compared offline; no caller gets the candidate.' },
  repaired: {
    name: 'Repaired',
    color: 'gray',
    meaning: 'An adapter that keeps more answers took its place.',
  },
  shadow: {
    name: 'Shadow',
    color: 'yellow',
    meaning: 'Requests are mirrored to the candidate; callers get the stable version.',
  },
  canary: { name: 'Canary', color: 'clay', meaning: 'A part of the callers gets the candidate.' },
  stable: { name: 'Stable', color: 'sage', meaning: 'The candidate is the stable version.' },
  rolled_back: { name: 'Rolled back', color: 'red', meaning: 'The candidate was taken back.' },
};

const TESTS: Readonly<Record<string, { title: string; counts: string }>> = {
  'probe.flips': { title: 'Lost probes', counts: 'labelled probes that were right before and are wrong now' },
  'mirror.flips': { title: 'Negative flips', counts: 'right before and wrong now, by feedback' },
  'mirror.disagreement': { title: 'Disagreement', counts: 'mirrored requests that got another label' },
  'mirror.errors': { title: 'Errors, mirrored', counts: 'mirrored requests that the candidate failed' },
  'mirror.latency': { title: 'Latency, mirrored', counts: 'pairs in which the candidate was too slow' },
  'canary.quality': { title: 'Quality, canary', counts: 'pairs of callers in which the candidate was worse' },
  'canary.failures': {
    title: 'Failures made good',
    counts: 'requests that the candidate failed and the stable version answered',
  },
  'canary.errors': { title: 'Errors, canary', counts: 'pairs of callers in which the candidate failed' },
  'canary.latency': {
    title: 'Latency, canary',
    counts: 'pairs of callers in which the candidate was too slow',
  },
};

/** What a test is called, and what it counts. */
export function testNames(test: string): { readonly title: string; readonly counts: string } {
  return TESTS[test] ?? { title: test, counts: 'what speaks against the candidate' };
}

/** How a test stands: broken, kept beyond doubt, or open. */
export function testState({ alarm, trials, high, limit }: TestReading): 'broken' | 'kept' | 'open' {
  if (alarm) return 'broken';
  return trials > 0 && high <= limit ? 'kept' : 'open';
}

/** Share in percent, with the digits that small ones need. */
export function percentText(share: number): string {
  const percent = 100 * share;
  return `${percent !== 0 && percent < 10 ? percent.toFixed(2) : percent.toFixed(1)} %`;
}

/** A weight or step: no more digits than it has. */
export const weightText = (weight: number) => `${Number((100 * weight).toPrecision(3))} %`;

/** A share with its interval. */
export const rateText = ({ value, low, high }: Rate) =>
  `${percentText(value)} (${percentText(low)} to ${percentText(high)})`;

/** Whether a release may still change what callers get. */
export const isLive = ({ state }: Pick<Release, 'state'>) =>
  state !== 'stable' && state !== 'rolled_back' && state !== 'unspecified';

/** When it began, ISO; null where its history does not say. */
export const beganAt = ({ history }: Pick<Release, 'history'>) => history[0]?.at ?? null;

/** How long ago it began; a dash where that is not known. */
export function ageText(release: Pick<Release, 'history'>, now: number): string {
  const began = beganAt(release);
  return began === null ? '–' : spanText(now - Date.parse(began));
}

/** A stop on the way to stable. */
export interface Stop {
  readonly label: string;
  readonly status: 'done' | 'now' | 'ahead' | 'back';
}

/** The whole way of a release, past and planned; what lies ahead of one that was taken back is left out. */
export function stopsOf({ history, plan, probes, state, step }: Release): readonly Stop[] {
  const reached = history.filter((at) => at.state !== 'rolled_back');
  const canaries = reached.filter((at) => at.state === 'canary').length;
  const wasIn = (own: ReleaseState) => reached.some((at) => at.state === own);
  const way: { label: string; isReached: boolean; isNow: boolean }[] = [
    { label: 'Draft', isReached: true, isNow: state === 'draft' },
    ...(['compared', 'repaired'] as const)
      .filter(wasIn)
      .map((own) => ({ label: STATES[own].name, isReached: true, isNow: state === own })),
  ];
  if (wasIn('shadow') || (plan?.mirrorShare ?? 0) > 0 || probes !== null)
    way.push({ label: 'Shadow', isReached: wasIn('shadow'), isNow: state === 'shadow' });
  for (const [at, weight] of (plan?.steps ?? []).entries())
    way.push({
      label: weightText(weight),
      isReached: at < canaries,
      isNow: state === 'canary' && step === at + 1,
    });
  way.push({ label: 'Stable', isReached: wasIn('stable'), isNow: state === 'stable' });
  const furthest = way.findLastIndex(({ isReached, isNow }) => isReached || isNow);
  const stops = way.map(({ label, isReached, isNow }, at): Stop => {
    if (isNow) return { label, status: label === 'Stable' ? 'done' : 'now' };
    return { label, status: isReached || at < furthest ? 'done' : 'ahead' };
  });
  if (state !== 'rolled_back') return stops;
  return [...stops.slice(0, furthest + 1), { label: 'Rolled back', status: 'back' }];
}

/** What the last of these steps came to: its state, and of a canary the weight. */
export function stepName(history: readonly Transition[], weights: readonly number[]): string {
  const last = history.at(-1);
  if (!last) return '';
  const { name } = STATES[last.state];
  const weight = weights[history.filter(({ state }) => state === 'canary').length - 1];
  return last.state === 'canary' && weight !== undefined ? `${name}, ${weightText(weight)}` : name;
}

/** Samples of the present step, of those that it needs, 0 to 1; undefined where nothing is counted. */
export function stepShare({ live, plan, state }: Release): number | undefined {
  if (!live || !plan || (state !== 'shadow' && state !== 'canary')) return undefined;
  return plan.minimumSamples === 0 ? 1 : Math.min(1, live.stepSamples / plan.minimumSamples);
}

const NOT_KEYS: Readonly<Record<string, string>> = {
  gate: 'the gate',
  cli: 'the command line',
  '': 'unknown',
};

/** Who moved it, as text: the gate, the command line, or a key. */
export const whoText = (by: string) => NOT_KEYS[by] ?? `key ${by}`;

/** A digest short enough to be read. */
export const digestText = (digest: string) => digest.replace(/^(sha256:[0-9a-f]{10})[0-9a-f]+$/, '$1…');

/** All items first, then slices by their negative flips, those that break the budget beyond doubt first. */
export function slicesToShow(overall: SliceFigures | null, slices: readonly SliceFigures[]): SliceFigures[] {
  const worst = slices.toSorted(
    ({ negativeFlips: a }, { negativeFlips: b }) => b.low - a.low || b.value - a.value,
  );
  return overall ? [overall, ...worst] : worst;
}

const URGENCY: readonly RuleStatus[] = ['failed', 'inconclusive', 'pending', 'passed', 'unspecified'];

/** Rules of a gate, those first that keep a candidate back; the order of the document among alike. */
export function rulesToShow(rules: readonly RuleStanding[]): RuleStanding[] {
  return rules.toSorted((a, b) => URGENCY.indexOf(a.status) - URGENCY.indexOf(b.status));
}

/** Whether people can let a rule pass that keeps the release where it is now. */
export function mayBeApproved({ gate, state }: Pick<Release, 'gate' | 'state'>): boolean {
  if (!gate || !isLive({ state })) return false;
  const isDue = ({ data }: RuleStanding) => {
    if (data === 'probes') return state === 'shadow';
    return data === 'shadow' || data === 'canary' ? data === state : state !== 'shadow' && state !== 'canary';
  };
  const due = gate.rules.filter(isDue);
  return (
    due.some(
      ({ status, approvals, measure }) =>
        status === 'inconclusive' && (approvals > 0 || measure === 'approvals'),
    ) && !due.some(({ status }) => status === 'failed')
  );
}

/** How a repair stands: a job makes it, it took the candidate's place, it gave nothing, or the release went another way. */
export type RepairState = 'running' | 'taken' | 'left' | 'overtaken';

/** How the last repair of a release stands; undefined where none was asked for. */
export function repairState({ repair, history, state }: Release): RepairState | undefined {
  if (!repair) return undefined;
  if (history.some((step) => step.state === 'repaired')) return 'taken';
  if (repair.ended) return 'left';
  return mayStillBeRepaired({ state }) ? 'running' : 'overtaken';
}

/** Whether a candidate is not served yet, and was not repaired already. */
export const mayStillBeRepaired = ({ state }: Pick<Release, 'state'>) =>
  state === 'draft' || state === 'compared';

/** Who gets, or is asked for, what in the present step. */
export function trafficText({ weight, plan, live, probes }: Release): string {
  const asked = probes
    ? `; ${(live?.probed ?? 0).toLocaleString('en')} of ${probes.items.toLocaleString('en')} probes are answered`
    : '';
  if (weight > 0) return `${weightText(weight)} of the callers get the candidate${asked}`;
  return `${weightText(plan?.mirrorShare ?? 0)} of the requests are mirrored${asked}`;
}

/** Place of a share on a scale that gives small shares room: its square root. 0 to 1. */
export function placeOf(share: number, longest: number): number {
  return Math.sqrt(Math.min(1, Math.max(0, share) / Math.max(longest, 1e-9)));
}

const TICKS = [0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];
/** Closer than this, names of ticks would touch. */
const TICK_ROOM = 0.11;

/** Shares to be named below that scale, with room between them. */
export function shareTicks(longest: number): number[] {
  const kept: number[] = [];
  for (const tick of TICKS.filter((own) => own <= longest * 1.0001).toReversed()) {
    const next = kept[0];
    const isClear = next === undefined || placeOf(next, longest) - placeOf(tick, longest) >= TICK_ROOM;
    if (isClear && placeOf(tick, longest) >= (tick === 0 ? 0 : TICK_ROOM)) kept.unshift(tick);
  }
  return kept[0] === 0 ? kept : [0, ...kept];
}

/** Which flips are looked for. */
export type FlipKind = 'all' | 'negative' | 'positive';

/** Flips of a kind whose id or one of whose answers has the word. */
export function flipsLike(flips: readonly Flip[], kind: FlipKind, word: string): readonly Flip[] {
  const wanted = word.trim().toLowerCase();
  return flips.filter(
    ({ id, negative, label, oldPrediction, newPrediction }) =>
      (kind === 'all' || negative === (kind === 'negative')) &&
      [id, label, oldPrediction, newPrediction].some((text) => text.toLowerCase().includes(wanted)),
  );
}
