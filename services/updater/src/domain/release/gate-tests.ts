import {
  GateWatch,
  type GateDocument,
  type GateEvidence,
  type MeasuredFigure,
  type RateReading,
  type WatchedMeasure,
} from '@thalamus/compatibility';
import { UsualTime } from './usual-time.js';

/** Evidence that comes while the candidate has traffic. */
export type LiveData = 'shadow' | 'canary' | 'probes';

/** A test with its reading and its limit. */
export type NamedTest = readonly [
  test: string,
  reading: Pick<RateReading, 'events' | 'trials' | 'pValue' | 'alarm'>,
  limit: number,
];

/** Tests of the plan that a rule about the same takes the place of. */
const REPLACED: Readonly<Record<string, readonly [LiveData, WatchedMeasure]>> = {
  'mirror.disagreement': ['shadow', 'disagreement'],
  'mirror.errors': ['shadow', 'errorRate'],
  'mirror.latency': ['shadow', 'slower'],
  'canary.quality': ['canary', 'worse'],
  'canary.errors': ['canary', 'errorRate'],
  'canary.latency': ['canary', 'slower'],
  'canary.failures': ['canary', 'errorRate'],
  'probe.flips': ['probes', 'flips'],
};

/** The rules of a gate about live traffic, each with an always-valid test of its own, named as the rule is. Without a gate there are none. */
export class GateTests {
  private readonly watches: Readonly<Record<LiveData, GateWatch>> | undefined;
  private readonly replaced: ReadonlySet<string>;
  private readonly usual = new Map<string, UsualTime>();

  constructor(private readonly gate: GateDocument | undefined) {
    this.watches = gate && {
      shadow: new GateWatch(gate, 'shadow'),
      canary: new GateWatch(gate, 'canary'),
      probes: new GateWatch(gate, 'probes'),
    };
    const { figures } = this;
    this.replaced = new Set(
      Object.entries(REPLACED).flatMap(([test, [data, measure]]) => (figures[data]?.[measure] ? [test] : [])),
    );
  }

  /** Whether a request, a probe, or a pair that differs, speaks against the candidate; undefined for what says nothing. */
  see(data: LiveData, measure: WatchedMeasure, isBad: boolean | undefined): void {
    if (isBad !== undefined) this.watches?.[data].see(measure, isBad);
  }

  /** What a request took, milliseconds: the candidate's is held against what the stable version took before it. */
  took(data: LiveData, kind: string, arm: 'stable' | 'candidate', ms: number): void {
    if (!this.watches) return;
    const key = `${data}/${kind}`;
    const usual = this.usual.get(key) ?? new UsualTime();
    this.usual.set(key, usual);
    if (arm === 'stable') usual.add(ms);
    else if (usual.tail !== undefined) this.see(data, 'slowTail', ms > usual.tail);
  }

  /** True for a test of the plan that the gate has a rule about. */
  replaces(test: string): boolean {
    return this.replaced.has(test);
  }

  get tests(): NamedTest[] {
    const { gate } = this;
    if (!gate) return [];
    const figures = this.figures;
    return gate.rules.flatMap(({ name, measure, data, threshold, level = gate.level }): NamedTest[] => {
      const figure = figures[data]?.[measure as WatchedMeasure];
      return figure ? [[name, readingOf(figure, level), threshold]] : [];
    });
  }

  /** For `evaluateGate`. */
  get figures(): NonNullable<GateEvidence['figures']> {
    const { watches } = this;
    if (!watches) return {};
    return {
      shadow: watches.shadow.figures,
      canary: watches.canary.figures,
      probes: watches.probes.figures,
    };
  }
}

function readingOf({ value, n, pValue = 1 }: MeasuredFigure, level: number): NamedTest[1] {
  return { events: Math.round(value * n), trials: n, pValue, alarm: pValue <= level };
}
