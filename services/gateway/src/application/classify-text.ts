import type { routerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { mergeFlags, type Flag } from '@thalamus/routing';
import { scopeOfText, type RequestScope } from '../domain/caller.js';
import { round } from '../domain/milliseconds.js';
import { parseModelReference } from '../domain/model-reference.js';
import { readClassification, type LabelScore } from '../domain/oip-answers.js';
import { textsRequest } from '../domain/oip-questions.js';
import type { FallbackExpert } from './fallback-expert.js';
import type { InferOnHost } from './infer-on-host.js';
import type { RecordOutcome } from './record-outcome.js';
import type { ResolvedExpert, ResolveExpert } from './resolve-expert.js';
import type { RoutedText, RouteText } from './route-text.js';

const TASK = 'text-classification';
const CLASSIFY = { operation: 'classifications', task: TASK } as const;

/** A text to classify. */
export interface ClassifyWish {
  readonly input: string;
  /** auto, an expert, expert@version, compose:a+b; auto may carry flags. */
  readonly model: string;
  readonly flags: readonly Flag[];
  readonly topLabels: number;
}

/** An answer and how it came about. */
export interface Classification {
  readonly expert: string;
  readonly version: string;
  /** Best first. */
  readonly scores: readonly LabelScore[];
  readonly decision: routerV1.Decision | undefined;
  readonly promptTokens: number;
  readonly truncated: boolean;
  readonly timingsMs: Readonly<Record<string, number>>;
}

/** Routes a text when the caller wants that, and has the expert classify it. */
export class ClassifyText {
  constructor(
    private readonly resolve: ResolveExpert,
    private readonly routeText: RouteText,
    private readonly hosts: InferOnHost,
    private readonly fallback: FallbackExpert,
    private readonly outcomes: RecordOutcome,
  ) {}

  /** Texts that share all but the text; each is routed, answered and told of on its own. Fails as a whole. */
  runAll(
    texts: readonly string[],
    wish: Omit<ClassifyWish, 'input'>,
    scope: RequestScope,
  ): Promise<Classification[]> {
    return Promise.all(
      texts.map((input, index) => this.run({ ...wish, input }, scopeOfText(scope, index, texts.length))),
    );
  }

  async run(wish: ClassifyWish, scope: RequestScope): Promise<Classification> {
    const startedAt = performance.now();
    const facts: { routed?: RoutedText; chosen?: ResolvedExpert } = {};
    try {
      const { text, target } = await this.choose(wish, scope, facts);
      const inferredAt = performance.now();
      const response = await this.hosts.run(
        target.expert,
        target.version,
        textsRequest([text], scope.requestId),
        scope,
      );
      const inferMs = performance.now() - inferredAt;
      const [answer] = readClassification(response);
      if (!answer) throw new ThalamusError('UPSTREAM_ERROR', `${target.expert} answered without a label.`);
      const timingsMs = {
        ...routerTimings(facts.routed),
        infer: round(inferMs),
        total: round(performance.now() - startedAt),
      };
      this.outcomes.succeeded({
        ...CLASSIFY,
        scope,
        target,
        routed: facts.routed,
        promptTokens: answer.promptTokens,
        confidence: answer.scores[0]?.score ?? 0,
        timingsMs,
      });
      return {
        expert: target.expert,
        version: target.version,
        scores: answer.scores.slice(0, wish.topLabels),
        decision: facts.routed?.decision,
        promptTokens: answer.promptTokens,
        truncated: answer.truncated,
        timingsMs,
      };
    } catch (fault) {
      this.outcomes.failed({
        ...CLASSIFY,
        scope,
        target: facts.chosen,
        routed: facts.routed,
        fault,
        totalMs: performance.now() - startedAt,
      });
      throw fault;
    }
  }

  private async choose(
    wish: ClassifyWish,
    scope: RequestScope,
    facts: { routed?: RoutedText; chosen?: ResolvedExpert },
  ): Promise<{ text: string; target: ResolvedExpert }> {
    const reference = parseModelReference(wish.model);
    if (reference.kind !== 'auto') {
      const target =
        reference.kind === 'expert'
          ? this.resolve.run(reference.expert, reference.version, scope.caller)
          : this.resolve.composition(reference.parents, scope.caller);
      facts.chosen = needTask(target);
      return { text: wish.input, target };
    }
    const routed = await this.routeText.run(
      { prompt: wish.input, task: TASK, flags: mergeFlags(wish.flags, reference.flags) },
      scope,
    );
    facts.routed = routed;
    const target = this.winner(routed.decision, scope);
    facts.chosen = needTask(target);
    return { text: routed.strippedPrompt, target };
  }

  /** The best expert; on abstention the policy's fallback, else an error that says why. */
  private winner(decision: routerV1.Decision, { caller }: RequestScope): ResolvedExpert {
    const best = decision.ranked[0]?.expert;
    return decision.abstained || best === undefined
      ? this.fallback.run(decision, TASK, caller)
      : this.resolve.run(best, undefined, caller);
  }
}

function needTask(target: ResolvedExpert): ResolvedExpert {
  if (target.task === TASK) return target;
  throw new ThalamusError(
    'REQUEST_INVALID',
    `${target.expert} serves ${target.task}, not ${TASK}; GET /v1/models shows the task of each.`,
    { violations: [{ field: 'model', description: `must serve ${TASK}` }] },
  );
}

function routerTimings(routed: RoutedText | undefined): Record<string, number> {
  if (!routed) return {};
  return {
    ...Object.fromEntries(routed.timings.map(({ stage, durationMs }) => [stage, round(durationMs)])),
    route: round(routed.durationMs),
  };
}
