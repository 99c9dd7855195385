import { MAX_PROMPT_BYTES, type routerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { mergeFlags, stripFlagTags, type Flag } from '@thalamus/routing';
import type { RequestScope } from '../../domain/caller.js';
import { routedText, type ChatContext } from '../../domain/chat-context.js';
import { nothingToRouteBy } from '../../domain/chat-prompt.js';
import { parseModelReference } from '../../domain/model-reference.js';
import type { FallbackExpert } from '../fallback-expert.js';
import type { RecordOutcome } from '../record-outcome.js';
import type { ReleaseScope } from '../../domain/release-share.js';
import { armOf, type ReleaseArm, type ResolvedExpert, type ResolveExpert } from '../resolve-expert.js';
import type { RoutedText, RouteText } from '../route-text.js';
import type { AttemptExperts, Attempted } from './attempt-experts.js';
import type {
  ChatOperation,
  ChatUpstream,
  TokenUsage,
  UpstreamAnswer,
  UpstreamEvent,
  UpstreamRequest,
  UpstreamTarget,
} from './chat-upstream.port.js';
import type { ConversationKey, Conversations } from './conversations.js';

const TASK = 'text-generation';

/** What a caller wants of a chat model. */
export interface ChatWish {
  readonly operation: ChatOperation;
  /** auto, an expert or expert@version. */
  readonly model: string;
  readonly flags: readonly Flag[];
  /** The last message of the user, with its flag tags. */
  readonly prompt: string;
  /** What the router looks at besides; undefined where there are no messages. */
  readonly context?: ChatContext;
  /** Expert that the caller says the conversation has had so far. */
  readonly currentExpert?: string | undefined;
  /** The request without model and our own fields; given the prompt without its flag tags. */
  readonly body: (strippedPrompt: string) => Readonly<Record<string, unknown>>;
}

/** Who answers, and why. */
export interface ChatChoice {
  readonly expert: string;
  readonly version: string;
  /** stable or candidate while a release is live; else undefined. */
  readonly arm: ReleaseArm | undefined;
  readonly decision: routerV1.Decision | undefined;
}

/** A whole answer with what it cost, USD. */
export interface ChatAnswer extends ChatChoice {
  readonly answer: UpstreamAnswer;
  readonly costUsd: number;
}

/** A started answer. */
export interface ChatStream extends ChatChoice {
  readonly events: AsyncIterable<UpstreamEvent>;
  /** What it cost, USD; known once the events have ended. */
  readonly costUsd: () => number;
}

interface Plan {
  /** Best first. */
  readonly targets: readonly ResolvedExpert[];
  readonly routed: RoutedText | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Running {
  readonly startedAt: number;
  readonly operation: string;
  readonly scope: RequestScope;
  routed: RoutedText | undefined;
  target: ResolvedExpert | undefined;
  /** Name of the conversation; undefined for one that is not routed. */
  conversation: ConversationKey | undefined;
}

/** What finds the models for a request. */
export interface ChatRouting {
  readonly resolveExpert: ResolveExpert;
  readonly routeText: RouteText;
  readonly fallback: FallbackExpert;
  readonly conversations: Conversations;
}

/** Chat with remote models: routed, with the router's next choice when the first cannot answer. */
export class CompleteChat {
  constructor(
    private readonly choice: ChatRouting,
    private readonly upstream: ChatUpstream,
    private readonly experts: AttemptExperts,
    private readonly outcomes: RecordOutcome,
  ) {}

  /** A whole answer. */
  async run(wish: ChatWish, scope: RequestScope): Promise<ChatAnswer> {
    const running = begin(wish, scope);
    try {
      const { result: answer, target } = await this.attempt(wish, running, (to, request) =>
        this.upstream.complete(to, request),
      );
      this.succeeded(running, target, answer.usage);
      return { ...choiceOf(running), answer, costUsd: costOf(answer.usage, target) };
    } catch (fault) {
      this.failed(running, fault);
      throw fault;
    }
  }

  /** Resolves when the chosen expert has begun to answer. The outcome is recorded when the stream ends, however it ends. */
  async stream(wish: ChatWish, scope: RequestScope): Promise<ChatStream> {
    const running = begin(wish, scope);
    try {
      const { result, target } = await this.attempt(wish, running, (to, request) =>
        this.upstream.stream(to, request),
      );
      const used = { inputTokens: 0, outputTokens: 0 };
      return {
        ...choiceOf(running),
        events: this.observed(result, running, target, used),
        costUsd: () => costOf(used, target),
      };
    } catch (fault) {
      this.failed(running, fault);
      throw fault;
    }
  }

  private async attempt<T>(
    wish: ChatWish,
    running: Running,
    ask: (target: UpstreamTarget, request: UpstreamRequest) => Promise<T>,
  ): Promise<Attempted<T>> {
    const { scope } = running;
    const { targets, body } = await this.plan(wish, running);
    const request = { operation: wish.operation, body, signal: scope.signal };
    const attempted = await this.experts.run(targets, {
      scope,
      ask: (target, deadlineAtMs) => ask(target, { ...request, deadlineAtMs }),
      turnedTo: (target) => {
        running.target = target;
      },
    });
    if (running.conversation !== undefined)
      this.choice.conversations.answered(running.conversation, attempted.target.expert);
    return attempted;
  }

  private async plan(wish: ChatWish, running: Running): Promise<Plan> {
    const scope = this.withConversation(wish, running.scope);
    const reference = parseModelReference(wish.model);
    if (reference.kind === 'compose')
      throw new ThalamusError('REQUEST_INVALID', 'A composition does not chat; name a chat model or auto.', {
        violations: [{ field: 'model', description: 'must serve text-generation' }],
      });
    if (reference.kind === 'expert') {
      const target = this.choice.resolveExpert.run(reference.expert, reference.version, scope);
      return { targets: [target], routed: undefined, body: wish.body(wish.prompt) };
    }
    const flags = mergeFlags(wish.flags, reference.flags);
    const { asked, stripped } = questionOf(wish, flags);
    const routed = await this.choice.routeText.run(
      { ...asked, task: TASK, currentExpert: this.currentExpert(wish, running) },
      scope,
    );
    running.routed = routed;
    const { decision } = routed;
    const names = decision.abstained ? [] : decision.ranked.map(({ expert }) => expert);
    const targets =
      names.length === 0 ? [this.choice.fallback.run(decision, TASK, scope)] : this.usable(names, scope);
    return { targets, routed, body: wish.body(stripped ?? routed.strippedPrompt) };
  }

  /** Messages name their conversation by how they begin, unless the caller names it: a release gives one version to all of it. */
  private withConversation({ context }: ChatWish, scope: RequestScope): RequestScope {
    if (scope.conversation !== undefined || !context) return scope;
    const { digest } = this.choice.conversations.keyOf(scope.caller.tenant, context.opening);
    return { ...scope, conversation: digest };
  }

  /** Whom the conversation has had: as the caller says, else as this gateway remembers. */
  private currentExpert({ context, currentExpert }: ChatWish, running: Running): string | undefined {
    if (!context) return currentExpert;
    running.conversation = this.choice.conversations.keyOf(running.scope.caller.tenant, context.opening);
    return (
      currentExpert ??
      (context.isContinued ? this.choice.conversations.expertOf(running.conversation) : undefined)
    );
  }

  /** The router may rank what has been removed or forbidden since; the rest can still answer. */
  private usable(names: readonly string[], scope: ReleaseScope): ResolvedExpert[] {
    let refusal: unknown;
    const targets = names.flatMap((name) => {
      try {
        return this.choice.resolveExpert.run(name, undefined, scope);
      } catch (fault) {
        refusal ??= fault;
        return [];
      }
    });
    if (targets.length === 0) throw refusal;
    return targets;
  }

  private async *observed(
    events: AsyncIterable<UpstreamEvent>,
    running: Running,
    target: UpstreamTarget,
    used: { -readonly [K in keyof TokenUsage]: TokenUsage[K] },
  ): AsyncGenerator<UpstreamEvent> {
    let ended = false;
    try {
      for await (const event of events) {
        Object.assign(used, event.usage);
        yield event;
      }
      ended = true;
      this.succeeded(running, target, used);
    } catch (fault) {
      ended = true;
      this.failed(running, fault);
      throw fault;
    } finally {
      // The reader stopped in the middle: it has gone, or its time is up.
      if (!ended) this.failed(running, running.scope.signal.reason ?? gone());
    }
  }

  private succeeded(running: Running, target: UpstreamTarget, usage: TokenUsage): void {
    this.outcomes.succeeded({
      ...outcomeOf(running),
      promptTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      costUsd: costOf(usage, target),
      confidence: 0,
      timingsMs: {
        ...(running.routed ? { route: running.routed.durationMs } : {}),
        total: performance.now() - running.startedAt,
      },
    });
  }

  private failed(running: Running, fault: unknown): void {
    this.outcomes.failed({ ...outcomeOf(running), fault, totalMs: performance.now() - running.startedAt });
  }
}

const gone = () => new ThalamusError('CANCELLED', 'The client went away.');

function begin(wish: ChatWish, scope: RequestScope): Running {
  return {
    startedAt: performance.now(),
    operation: wish.operation,
    scope,
    routed: undefined,
    target: undefined,
    conversation: undefined,
  };
}

/**
 * What the router is asked, and the prompt without its tags where it is not for the router to take them off. Without text in the last
 * message what was before decides. @throws REQUEST_INVALID when there is no text at all
 */
function questionOf({ prompt, context }: ChatWish, flags: readonly Flag[]) {
  const alone = { asked: { prompt, flags }, stripped: undefined };
  if (!context || Buffer.byteLength(prompt) > MAX_PROMPT_BYTES) return alone;
  const tagged = stripFlagTags(prompt);
  if (context.lines.length === 0 && tagged.prompt.trim() === '') throw nothingToRouteBy();
  const text = routedText(tagged.prompt, context.lines);
  if (text === undefined) return alone;
  return { asked: { prompt: text, flags: mergeFlags(flags, tagged.flags) }, stripped: tagged.prompt };
}

function outcomeOf({ operation, scope, target, routed }: Running) {
  return { operation, task: TASK, scope, target, routed };
}

function choiceOf({ target, routed }: Running): ChatChoice {
  return {
    expert: target?.expert ?? '',
    version: target?.version ?? '',
    arm: target && armOf(target),
    decision: routed?.decision,
  };
}

/** USD. */
function costOf({ inputTokens, outputTokens }: TokenUsage, { price }: UpstreamTarget): number {
  return (inputTokens * price.input + outputTokens * price.output) / 1e6;
}
