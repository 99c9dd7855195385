import { worstLoss } from '@thalamus/composition';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { counter, histogram } from '@thalamus/telemetry';

/** How a recipe ended that did not fail. */
export type RunOutcome = 'made' | 'found' | 'tried';

/** Outcomes that are shown with 0 before the first: what they grow by is looked at. */
const SHOWN = ['made', 'found', 'tried', 'COMPOSITION_REFUSED'] as const;

/** Metrics of composing. */
export class CompositionMeter {
  private readonly runs = counter(METRICS.compositionRuns);
  private readonly durations = histogram(METRICS.compositionDuration);
  private readonly losses = histogram(METRICS.compositionWorstLoss);

  constructor() {
    for (const outcome of SHOWN) this.runs.add(0, { [ATTRIBUTES.outcome]: outcome });
  }

  ended(outcome: RunOutcome): void {
    this.runs.add(1, { [ATTRIBUTES.outcome]: outcome });
  }

  failed(fault: unknown): void {
    this.runs.add(1, { [ATTRIBUTES.outcome]: toThalamusError(fault).code });
  }

  /** Something was made, whether or not it is to be registered; figures by name. */
  made(method: string, milliseconds: number, metrics: Readonly<Record<string, number>>): void {
    const attributes = { [ATTRIBUTES.mergeMethod]: method };
    this.durations.record(milliseconds / 1000, attributes);
    const lost = worstLoss(metrics);
    if (lost !== undefined) this.losses.record(lost, attributes);
  }
}
