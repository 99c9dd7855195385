import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { RequestScope } from '../../domain/caller.js';
import type { ParentReference } from '../../domain/composition-name.js';
import type { ResolvedExpert, ResolveExpert } from '../resolve-expert.js';
import type { RoutedText, RouteText, RouteWish } from '../route-text.js';

/** A parent that answers in place of a composition, and why it. */
export interface RoutedParent {
  readonly target: ResolvedExpert;
  readonly routed: RoutedText;
}

/** Codes of what no host has, now or any more. */
const NOT_SERVED: ReadonlySet<string> = new Set(['EXPERT_NOT_READY', 'EXPERT_NOT_FOUND']);

/** Whether a composition could not answer because it is not there: it has ended, or is not loaded. */
export function isNotServed(fault: unknown): boolean {
  return NOT_SERVED.has(toThalamusError(fault).code);
}

/**
 * As `auto`, among the parents of a composition alone. Where the router would abstain the nearest parent answers: the composition
 * chooses among them too, whatever the text.
 */
export class RouteAmongParents {
  constructor(
    private readonly routeText: RouteText,
    private readonly resolve: ResolveExpert,
  ) {}

  /** @throws EXPERT_NOT_READY when the router can rank none of them, and what routing throws */
  async run(
    parents: readonly ParentReference[],
    wish: Omit<RouteWish, 'experts'>,
    scope: RequestScope,
  ): Promise<RoutedParent> {
    const experts = parents.map(({ expert }) => expert);
    const routed = await this.routeText.run({ ...wish, experts }, scope);
    const nearest = routed.decision.ranked[0]?.expert;
    const parent = parents.find(({ expert }) => expert === nearest);
    if (!parent)
      throw new ThalamusError(
        'EXPERT_NOT_READY',
        `The composition is not ready, and the router can choose none of ${experts.join(', ')}: ${routed.decision.reason} Try again in a moment, or name one of them.`,
        { retryAfterMs: 1_000 },
      );
    return { target: this.resolve.run(parent.expert, parent.version, scope), routed };
  }
}
