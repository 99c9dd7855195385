import { ThalamusError } from '@thalamus/errors';
import { mergeFlags } from '@thalamus/routing';
import type { RequestScope } from '../domain/caller.js';
import { round } from '../domain/milliseconds.js';
import { parseModelReference } from '../domain/model-reference.js';
import type { ComposeOnRequest } from './compositions/compose-on-request.js';
import type { RecordOutcome } from './record-outcome.js';
import type { RoutedText, RouteText, RouteWish } from './route-text.js';

/** What is to be ranked. */
export interface RankWish extends Omit<RouteWish, 'experts'> {
  /** auto, with flags or without; or compose:a+b: only its parents are ranked, and nothing is composed. */
  readonly model: string;
}

/** Has the router rank the experts for a text without running any, and says so. */
export class RankExperts {
  constructor(
    private readonly routeText: RouteText,
    private readonly compositions: ComposeOnRequest,
    private readonly outcomes: RecordOutcome,
  ) {}

  /** @throws REQUEST_INVALID for a model that leaves nothing to rank */
  async run({ model, ...wish }: RankWish, scope: RequestScope): Promise<RoutedText> {
    const routed = await this.routeText.run({ ...wish, ...this.candidates(model, wish, scope) }, scope);
    this.outcomes.succeeded({
      operation: 'route',
      task: wish.task,
      scope,
      target: undefined,
      routed,
      promptTokens: routed.decision.promptTokens,
      confidence: 0,
      timingsMs: { route: round(routed.durationMs), total: round(routed.durationMs) },
    });
    return routed;
  }

  private candidates(
    model: string,
    { flags }: Pick<RouteWish, 'flags'>,
    scope: RequestScope,
  ): Partial<RouteWish> {
    const reference = parseModelReference(model);
    switch (reference.kind) {
      case 'auto':
        return { flags: mergeFlags(flags, reference.flags) };
      case 'compose':
        return { experts: this.compositions.pinned(reference.parents, scope).map(({ expert }) => expert) };
      case 'expert':
        throw new ThalamusError(
          'REQUEST_INVALID',
          `${reference.expert} is one expert: there is nothing to rank.`,
          {
            violations: [{ field: 'model', description: 'must be auto or compose:a+b' }],
          },
        );
    }
  }
}
