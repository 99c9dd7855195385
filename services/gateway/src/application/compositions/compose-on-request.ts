import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { toThalamusError, type ThalamusError } from '@thalamus/errors';
import { counter } from '@thalamus/telemetry';
import type { RequestScope } from '../../domain/caller.js';
import { compositionName, type ParentReference, type PinnedParent } from '../../domain/composition-name.js';
import type { CompositionReason, CompositionUse } from '../../domain/composition-use.js';
import { needTask } from '../need-task.js';
import type { ResolvedExpert, ResolvedParent, ResolveExpert } from '../resolve-expert.js';
import type { CheckRecipes } from './check-recipes.js';
import type { Build, CompositionBuilds } from './composition-builds.js';
import { becomesTrue, inTime, type Patience } from './in-time.js';
import { isRefusal } from './refusals.js';
import type { RegisteredCompositions } from './registered-compositions.js';

/** What is kept of a request's time for the parents to answer in: at most so much, and at most half of it. */
const RESERVED_MS = 2_000;
const TASK = 'text-classification';

/** What answers for a composition. */
export interface ChosenForComposition {
  readonly use: CompositionUse;
  /** The composition; undefined when the parents answer. */
  readonly target: ResolvedExpert | undefined;
  /** As the caller named them. */
  readonly parents: readonly ParentReference[];
}

/** What finds and makes compositions. */
export interface CompositionParts {
  readonly resolve: ResolveExpert;
  readonly registered: RegisteredCompositions;
  readonly recipes: CheckRecipes;
  readonly builds: CompositionBuilds;
}

type Found = { readonly reason: CompositionReason; readonly composition?: PinnedParent };

/**
 * Finds the composition of the parents that a request names, or has it made if that can be done while the request waits. What is
 * being made goes on when the request has turned to the parents, or has gone.
 */
export class ComposeOnRequest {
  private readonly uses = counter(METRICS.compositions);

  constructor(
    private readonly parts: CompositionParts,
    /** Compositions that may be kept because requests asked for them. */
    private readonly maxKept: number,
  ) {}

  /**
   * What answers for these parents.
   * @throws EXPERT_NOT_FOUND, PERMISSION_DENIED, REQUEST_INVALID for a parent that the caller may not use or that serves another
   * task; COMPOSITION_REFUSED when they cannot be composed
   */
  async run(parents: readonly ParentReference[], scope: RequestScope): Promise<ChosenForComposition> {
    const pinned = this.pinned(parents, scope);
    const patience = patienceOf(scope);
    const { reason, composition } = await this.findOrMake(pinned, scope.caller.tenant, patience);
    const target = composition && this.parts.resolve.composition(composition, scope.caller);
    this.uses.add(1, { [ATTRIBUTES.outcome]: reason });
    const use = {
      model: compositionName(pinned),
      answered: target ? 'composition' : 'parents',
      reason,
    } as const;
    return { use, target, parents };
  }

  /** The parents, each checked for the caller. @throws as `run` */
  pinned(parents: readonly ParentReference[], { caller }: RequestScope): readonly ResolvedParent[] {
    return parents.map((parent) => needTask(this.parts.resolve.parent(parent, caller), TASK));
  }

  private async findOrMake(
    parents: readonly ResolvedParent[],
    tenant: string,
    patience: Patience,
  ): Promise<Found> {
    const { recipes, registered } = this.parts;
    const key = parents.map(({ manifestDigest, ...own }) => `${nameOf(own)}#${manifestDigest}`).join('+');
    const build = { key, tenant, parents };
    let unknown: CompositionReason = 'building';
    let known: PinnedParent | undefined;
    try {
      const checked = recipes.digest(key, parents, tenant);
      const digest = await inTime(checked, patience);
      if (digest) {
        known = registered.byDigest(digest.value);
        if (!known) return await this.make(build, patience);
      } else this.makeLater(checked, build);
    } catch (fault) {
      const error = toThalamusError(fault);
      if (patience.signal.aborted || isRefusal(error)) throw fault;
      unknown = reasonOf(error);
    }
    known ??= registered.byParents(parents);
    return known ? this.served(known, 'found', patience) : { reason: unknown };
  }

  /** A request that has no time even for the check has the composition made for those that come later. */
  private makeLater(checked: Promise<string>, build: Build): void {
    const { builds, registered } = this.parts;
    checked.then(
      (digest) => {
        if (!registered.byDigest(digest)) builds.ask(build, this.maxKept - registered.kept);
      },
      // Whoever asks next is told.
      () => undefined,
    );
  }

  private async make(build: Build, patience: Patience): Promise<Found> {
    const { builds, recipes, registered } = this.parts;
    const state = builds.ask(build, this.maxKept - registered.kept);
    if (state.kind === 'failed') return failed(state.error);
    if (state.kind !== 'begun') return { reason: state.kind };
    const ended = await inTime(state.outcome, patience);
    if (!ended) return { reason: 'building' };
    if (ended.value.kind === 'failed') return failed(ended.value.error);
    const { recipeDigest, expert, version } = ended.value.made;
    recipes.learn(build.key, recipeDigest);
    if (!registered.byDigest(recipeDigest)) return { reason: 'loading' };
    return this.served({ expert, version }, 'built', patience);
  }

  /** The composition once a host answers for it, if that is soon. */
  private async served(
    composition: PinnedParent,
    reason: CompositionReason,
    patience: Patience,
  ): Promise<Found> {
    const { registered } = this.parts;
    const isOver = () => registered.isServed(composition) || !registered.mayBeServed(composition);
    await becomesTrue(isOver, patience);
    return registered.isServed(composition) ? { reason, composition } : { reason: 'loading' };
  }
}

/** @throws what says that the parents cannot be composed */
function failed(error: ThalamusError): Found {
  if (isRefusal(error)) throw error;
  return { reason: reasonOf(error) };
}

function reasonOf({ code }: ThalamusError): CompositionReason {
  if (code === 'UPSTREAM_UNAVAILABLE') return 'unavailable';
  return code === 'EXPERT_OVERLOADED' ? 'busy' : 'failed';
}

const nameOf = ({ expert, version }: PinnedParent) => `${expert}@${version}`;

/** How long a request waits for a composition before it turns to the parents. */
function patienceOf({ deadlineAtMs, signal }: RequestScope): Patience {
  const left = deadlineAtMs - Date.now();
  return { untilMs: deadlineAtMs - Math.min(RESERVED_MS, left / 2), signal };
}
