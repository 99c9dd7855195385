import type { RequestScope } from '../domain/caller.js';
import { round } from '../domain/milliseconds.js';
import type { RecordOutcome } from './record-outcome.js';
import type { RoutedText, RouteText, RouteWish } from './route-text.js';

/** Has the router rank the experts for a text without running any, and says so. */
export class RankExperts {
  constructor(
    private readonly routeText: RouteText,
    private readonly outcomes: RecordOutcome,
  ) {}

  async run(wish: RouteWish, scope: RequestScope): Promise<RoutedText> {
    const routed = await this.routeText.run(wish, scope);
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
}
