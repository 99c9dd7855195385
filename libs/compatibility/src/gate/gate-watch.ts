import { RateMonitor } from '../sequential/rate-monitor.js';
import type { GateDocument } from './gate-document.js';
import type { MeasuredFigure } from './gate-evidence.js';
import type { FigureName } from './measures.js';

/** What live traffic is watched for, one request, pair or probe at a time. */
export const WATCHED = [
  'errorRate',
  'disagreement',
  'slower',
  'slowTail',
  'worse',
  'flips',
] as const satisfies readonly FigureName[];

/** A measure that is watched. */
export type WatchedMeasure = (typeof WATCHED)[number];

/**
 * The rules of a gate about live traffic, each watched by an always-valid test of "at most the threshold": its figures may be judged after
 * every request.
 */
export class GateWatch {
  private readonly monitors = new Map<WatchedMeasure, RateMonitor>();

  /** @param data which evidence is watched, such as shadow, canary or probes @throws RangeError for a threshold of 0 or 1, which no test can watch */
  constructor(gate: GateDocument, data: string) {
    const isWatched = (name: string): name is WatchedMeasure => (WATCHED as readonly string[]).includes(name);
    for (const rule of gate.rules)
      if (rule.data === data && isWatched(rule.measure))
        this.monitors.set(
          rule.measure,
          new RateMonitor({ limit: rule.threshold, level: rule.level ?? gate.level }),
        );
  }

  /** Takes one request, or one pair that differs, in: whether it speaks against the new version. What no rule is about is passed over. */
  see(measure: WatchedMeasure, isBad: boolean): void {
    this.monitors.get(measure)?.add(isBad);
  }

  /** Figures of what was seen, for `evaluateGate`. */
  get figures(): Partial<Record<WatchedMeasure, MeasuredFigure>> {
    const figures: Partial<Record<WatchedMeasure, MeasuredFigure>> = {};
    for (const [measure, { reading }] of this.monitors)
      figures[measure] = {
        value: reading.trials === 0 ? 0 : reading.events / reading.trials,
        n: reading.trials,
        pValue: reading.pValue,
      };
    return figures;
  }
}
