import type { RegistryView } from '@thalamus/registry';
import { observedLoss, type LossUnit } from '@thalamus/routing';
import type { CorrectedHead } from '../../domain/correction-records.js';
import type { RouterModels } from '../router-models.js';
import type { CountedOutcome } from './correction-book.js';
import type { CorrectionView } from './correction-view.js';
import type { DecidedRequest, GivenScore } from './outcome-window.js';

/** What becomes of feedback. */
export type Verdict =
  | { readonly kind: 'counts'; readonly outcome: CountedOutcome }
  /** Policy says that nothing is learned from the tenant. */
  | { readonly kind: 'frozen' }
  /** The router model or the version of the expert serves no longer. */
  | { readonly kind: 'stale' };

/** Which outcomes teach anything now: those of the router model that decides and of the version that is stable. */
export class JudgeOutcome {
  constructor(
    private readonly models: RouterModels,
    private readonly registry: RegistryView,
    private readonly corrections: CorrectionView,
  ) {}

  /** @throws REQUEST_INVALID for a score that is no quality */
  run(request: DecidedRequest, given: GivenScore): Verdict {
    if (!this.corrections.learnsFrom(given.tenant)) return { kind: 'frozen' };
    const { expert, version, routerModel, region, predicted } = request;
    const unit = this.unitOf(routerModel);
    if (unit === undefined || !this.serves(request)) return { kind: 'stale' };
    const observed = observedLoss(unit, given.score);
    const { atMs } = given;
    return {
      kind: 'counts',
      outcome: { expert, version, routerModel, unit, region, predicted, observed, atMs },
    };
  }

  /** Loss unit of a router model, name@version, that decides now. */
  unitOf(routerModel: string): LossUnit | undefined {
    return this.models.all().find(({ manifest }) => `${manifest.name}@${manifest.version}` === routerModel)
      ?.manifest.lossUnit;
  }

  /** Whether decisions are made for this version by this router model. */
  serves({ expert, version, routerModel }: CorrectedHead): boolean {
    return this.registry.expert(expert)?.stable === version && this.unitOf(routerModel) !== undefined;
  }
}
