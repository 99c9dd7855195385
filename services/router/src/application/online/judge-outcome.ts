import type { registryV1 } from '@thalamus/contracts';
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
  | { readonly kind: 'stale' }
  /** It would count, but the loss unit of the router model is not known here. */
  | { readonly kind: 'unknown' };

/**
 * Which outcomes teach anything now: those of the router model that decides and of the version that is stable, as the registry
 * names them. What this replica has loaded says nothing of that: others may decide by what it cannot load.
 */
export class JudgeOutcome {
  constructor(
    private readonly models: Pick<RouterModels, 'all'>,
    private readonly registry: Pick<RegistryView, 'expert' | 'get'>,
    private readonly corrections: Pick<CorrectionView, 'learnsFrom'>,
  ) {}

  /** @throws REQUEST_INVALID for a score that is no quality */
  run(request: DecidedRequest, given: Pick<GivenScore, 'tenant' | 'score' | 'atMs'>): Verdict {
    if (!this.corrections.learnsFrom(given.tenant)) return { kind: 'frozen' };
    if (!this.serves(request)) return { kind: 'stale' };
    const { expert, version, routerModel, region, predicted } = request;
    const unit = this.unitOf(routerModel);
    if (unit === undefined) return { kind: 'unknown' };
    const observed = observedLoss(unit, given.score);
    const { atMs } = given;
    return {
      kind: 'counts',
      outcome: { expert, version, routerModel, unit, region, predicted, observed, atMs },
    };
  }

  /** Loss unit of a router model, name@version, that decides now; undefined where neither the registry nor a loaded model says it. */
  unitOf(routerModel: string): LossUnit | undefined {
    const unit = this.active(routerModel)?.lossUnit;
    if (unit === 'nats' || unit === 'error') return unit;
    // Earlier releases registered router models without it.
    return this.models.all().find(({ manifest }) => `${manifest.name}@${manifest.version}` === routerModel)
      ?.manifest.lossUnit;
  }

  /** Whether decisions are made for this version by this router model. */
  serves({ expert, version, routerModel }: CorrectedHead): boolean {
    return this.registry.expert(expert)?.stable === version && this.active(routerModel) !== undefined;
  }

  private active(routerModel: string): registryV1.RouterModel | undefined {
    const value = this.registry.get(`router-model/${routerModel}`)?.value;
    return value?.case === 'routerModel' && value.value.active ? value.value : undefined;
  }
}
