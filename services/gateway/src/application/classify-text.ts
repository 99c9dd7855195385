import { textsRequest, type inference, type routerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { scopeOfText, type RequestScope } from '../domain/caller.js';
import type { CompositionUse } from '../domain/composition-use.js';
import { round } from '../domain/milliseconds.js';
import { readClassification, type LabelScore, type TextAnswer } from '../domain/oip-answers.js';
import type { ChoiceFacts, ChooseClassifier, ChosenClassifier, ClassifyWish } from './choose-classifier.js';
import type { ChosenForComposition } from './compositions/compose-on-request.js';
import { isNotServed } from './compositions/route-among-parents.js';
import type { RecordOutcome } from './record-outcome.js';
import type { AskVersion, VersionAnswer } from './releases/ask-version.js';
import { armOf, type ReleaseArm, type ResolvedExpert } from './resolve-expert.js';
import type { RoutedText } from './route-text.js';

const CLASSIFY = { operation: 'classifications', task: 'text-classification' } as const;

/** An answer and how it came about. */
export interface Classification {
  readonly expert: string;
  readonly version: string;
  /** stable or candidate while a release is live; else undefined. */
  readonly arm: ReleaseArm | undefined;
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
    private readonly versions: AskVersion,
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
      const { composition, answered } = await this.infer(choice, scope, facts, (fault) => {
        // It has ended, or been let go, since it was found.
        if (!composed?.target || !isNotServed(fault)) throw fault;
        return this.chooser.parent(wish, scope, composed, 'loading', facts);
      });
      const { target, answer, inferMs, label } = answered;
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
        label,
      });
      return {
        expert: target.expert,
        version: target.version,
        arm: armOf(target),
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
    { target, text, composition }: ChosenClassifier,
    scope: RequestScope,
    facts: ChoiceFacts,
    instead?: (fault: unknown) => Promise<ChosenClassifier>,
  ): Promise<{
    readonly composition: CompositionUse | undefined;
    readonly answered: VersionAnswer<TextAnswer>;
  }> {
    try {
      const answered = await this.versions.run({
        target,
        request: textsRequest([text], scope.requestId),
        scope,
        read: (response) => onlyAnswer(response, target),
        turnedTo: (other) => {
          facts.target = other;
        },
      });
      return { composition, answered };
    } catch (fault) {
      if (!instead) throw fault;
      return this.infer(await instead(fault), scope, facts);
    }
  }
}

/** @throws UPSTREAM_ERROR when it has no label, or not the agreed outputs */
function onlyAnswer(response: inference.ModelInferResponse, { expert }: ResolvedExpert): TextAnswer {
  const [answer] = readClassification(response);
  if (!answer) throw new ThalamusError('UPSTREAM_ERROR', `${expert} answered without a label.`);
  return answer;
}

function routerTimings(routed: RoutedText | undefined): Record<string, number> {
  if (!routed) return {};
  return {
    ...Object.fromEntries(routed.timings.map(({ stage, durationMs }) => [stage, round(durationMs)])),
    route: round(routed.durationMs),
  };
}
