import type { routerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { scopeOfText, type RequestScope } from '../domain/caller.js';
import type { CompositionUse } from '../domain/composition-use.js';
import { round } from '../domain/milliseconds.js';
import { readClassification, type LabelScore, type TextAnswer } from '../domain/oip-answers.js';
import { textsRequest } from '../domain/oip-questions.js';
import type { ChoiceFacts, ChooseClassifier, ChosenClassifier, ClassifyWish } from './choose-classifier.js';
import type { ChosenForComposition } from './compositions/compose-on-request.js';
import { isNotServed } from './compositions/route-among-parents.js';
import type { InferOnHost } from './infer-on-host.js';
import type { RecordOutcome } from './record-outcome.js';
import type { RoutedText } from './route-text.js';

const CLASSIFY = { operation: 'classifications', task: 'text-classification' } as const;

/** An answer and how it came about. */
export interface Classification {
  readonly expert: string;
  readonly version: string;
  /** Best first. */
  readonly scores: readonly LabelScore[];
  readonly decision: routerV1.Decision | undefined;
  /** What became of the composition that was asked for. */
  readonly composition: CompositionUse | undefined;
  readonly promptTokens: number;
  readonly truncated: boolean;
  readonly timingsMs: Readonly<Record<string, number>>;
}

/** Routes a text when the caller wants that, and has the expert classify it. */
export class ClassifyText {
  constructor(
    private readonly chooser: ChooseClassifier,
    private readonly hosts: InferOnHost,
    private readonly outcomes: RecordOutcome,
  ) {}

  /** Texts that share all but the text; each is routed, answered and told of on its own. Fails as a whole. */
  async runAll(
    texts: readonly string[],
    wish: Omit<ClassifyWish, 'input'>,
    scope: RequestScope,
  ): Promise<Classification[]> {
    const composed = await this.chooser.composition(wish.model, scope);
    return Promise.all(
      texts.map((input, index) =>
        this.one({ ...wish, input }, scopeOfText(scope, index, texts.length), composed),
      ),
    );
  }

  async run(wish: ClassifyWish, scope: RequestScope): Promise<Classification> {
    return this.one(wish, scope, await this.chooser.composition(wish.model, scope));
  }

  private async one(
    wish: ClassifyWish,
    scope: RequestScope,
    composed: ChosenForComposition | undefined,
  ): Promise<Classification> {
    const startedAt = performance.now();
    const facts: ChoiceFacts = {};
    try {
      const choice = await this.chooser.run(wish, scope, composed, facts);
      const { chosen, answer, inferMs } = await this.infer(choice, scope, (fault) => {
        // It has ended, or been let go, since it was found.
        if (!composed?.target || !isNotServed(fault)) throw fault;
        return this.chooser.parent(wish, scope, composed, 'loading', facts);
      });
      const { target, composition } = chosen;
      const { promptTokens, truncated } = answer;
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
        promptTokens,
        confidence: answer.scores[0]?.score ?? 0,
        timingsMs,
      });
      return {
        expert: target.expert,
        version: target.version,
        scores: answer.scores.slice(0, wish.topLabels),
        decision: facts.routed?.decision,
        composition,
        promptTokens,
        truncated,
        timingsMs,
      };
    } catch (fault) {
      this.outcomes.failed({
        ...CLASSIFY,
        scope,
        target: facts.target,
        routed: facts.routed,
        fault,
        totalMs: performance.now() - startedAt,
      });
      throw fault;
    }
  }

  /** What the chosen expert says; on a failure, once more with another one when `instead` gives it. */
  private async infer(
    chosen: ChosenClassifier,
    scope: RequestScope,
    instead?: (fault: unknown) => Promise<ChosenClassifier>,
  ): Promise<{ chosen: ChosenClassifier; answer: TextAnswer; inferMs: number }> {
    const { target, text } = chosen;
    const startedAt = performance.now();
    try {
      const request = textsRequest([text], scope.requestId);
      const response = await this.hosts.run(target.expert, target.version, request, scope);
      const [answer] = readClassification(response);
      if (!answer) throw new ThalamusError('UPSTREAM_ERROR', `${target.expert} answered without a label.`);
      return { chosen, answer, inferMs: performance.now() - startedAt };
    } catch (fault) {
      if (!instead) throw fault;
      return this.infer(await instead(fault), scope);
    }
  }
}

function routerTimings(routed: RoutedText | undefined): Record<string, number> {
  if (!routed) return {};
  return {
    ...Object.fromEntries(routed.timings.map(({ stage, durationMs }) => [stage, round(durationMs)])),
    route: round(routed.durationMs),
  };
}
