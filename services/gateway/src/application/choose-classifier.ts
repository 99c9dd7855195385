import type { routerV1 } from '@thalamus/contracts';
import { mergeFlags, type Flag } from '@thalamus/routing';
import type { RequestScope } from '../domain/caller.js';
import { isComposition, parseCompositionName } from '../domain/composition-name.js';
import type { CompositionReason, CompositionUse } from '../domain/composition-use.js';
import { parseModelReference } from '../domain/model-reference.js';
import type { ChosenForComposition, ComposeOnRequest } from './compositions/compose-on-request.js';
import type { RouteAmongParents } from './compositions/route-among-parents.js';
import type { FallbackExpert } from './fallback-expert.js';
import { needTask } from './need-task.js';
import type { ResolvedExpert, ResolveExpert } from './resolve-expert.js';
import type { RoutedText, RouteText } from './route-text.js';

const TASK = 'text-classification';

/** A text to classify. */
export interface ClassifyWish {
  readonly input: string;
  /** auto, an expert, expert@version, compose:a+b; auto may carry flags. */
  readonly model: string;
  readonly flags: readonly Flag[];
  readonly topLabels: number;
}

/** Who classifies a text. */
export interface ChosenClassifier {
  /** What is given to the expert. */
  readonly text: string;
  readonly target: ResolvedExpert;
  readonly composition: CompositionUse | undefined;
}

/** What is known of a choice as soon as it is, so that a failure is told with it. */
export interface ChoiceFacts {
  routed?: RoutedText;
  target?: ResolvedExpert;
}

/** What finds who answers. */
export interface ClassifierParts {
  readonly resolve: ResolveExpert;
  readonly routeText: RouteText;
  readonly fallback: FallbackExpert;
  readonly compositions: ComposeOnRequest;
  readonly amongParents: RouteAmongParents;
}

/** Finds the expert that classifies a text: by the router, by its name, or by what it is composed of. */
export class ChooseClassifier {
  constructor(private readonly parts: ClassifierParts) {}

  /** What answers for the composition that a request names; undefined when it names none. Once for all texts of a request. */
  async composition(model: string, scope: RequestScope): Promise<ChosenForComposition | undefined> {
    return isComposition(model) ? this.parts.compositions.run(parseCompositionName(model), scope) : undefined;
  }

  async run(
    wish: ClassifyWish,
    scope: RequestScope,
    composed: ChosenForComposition | undefined,
    facts: ChoiceFacts,
  ): Promise<ChosenClassifier> {
    if (!composed) return this.named(wish, scope, facts);
    const { target, use } = composed;
    if (!target) return this.parent(wish, scope, composed, use.reason, facts);
    facts.target = needTask(target, TASK);
    return { text: wish.input, target, composition: use };
  }

  /** A parent in place of the composition, chosen by the router. */
  async parent(
    { input: prompt, flags }: ClassifyWish,
    scope: RequestScope,
    { parents, use: { model } }: ChosenForComposition,
    reason: CompositionReason,
    facts: ChoiceFacts,
  ): Promise<ChosenClassifier> {
    const wish = { prompt, task: TASK, flags };
    const { target, routed } = await this.parts.amongParents.run(parents, wish, scope);
    Object.assign(facts, { routed, target });
    const composition = { model, answered: 'parents', reason } as const;
    return { text: routed.strippedPrompt, target: needTask(target, TASK), composition };
  }

  private async named(
    wish: ClassifyWish,
    scope: RequestScope,
    facts: ChoiceFacts,
  ): Promise<ChosenClassifier> {
    const reference = parseModelReference(wish.model);
    if (reference.kind === 'expert') {
      const target = this.parts.resolve.run(reference.expert, reference.version, scope);
      facts.target = needTask(target, TASK);
      return { text: wish.input, target, composition: undefined };
    }
    const flags = mergeFlags(wish.flags, reference.kind === 'auto' ? reference.flags : []);
    const routed = await this.parts.routeText.run({ prompt: wish.input, task: TASK, flags }, scope);
    facts.routed = routed;
    const target = needTask(this.winner(routed.decision, scope), TASK);
    facts.target = target;
    return { text: routed.strippedPrompt, target, composition: undefined };
  }

  /** The best expert; on abstention the policy's fallback, else an error that says why. */
  private winner(decision: routerV1.Decision, scope: RequestScope): ResolvedExpert {
    const best = decision.ranked[0]?.expert;
    return decision.abstained || best === undefined
      ? this.parts.fallback.run(decision, TASK, scope)
      : this.parts.resolve.run(best, undefined, scope);
  }
}
