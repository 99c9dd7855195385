import type { MessageInitShape } from '@bufbuild/protobuf';
import type { routerV1 } from '@thalamus/contracts';
import { RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { RpcClient } from '@thalamus/grpc';
import type { Flag } from '@thalamus/routing';
import type { RequestScope } from '../domain/caller.js';

/** What is to be routed. */
export interface RouteWish {
  readonly prompt: string;
  readonly task: string;
  readonly flags: readonly Flag[];
  readonly topK?: number;
  /** Bound on the quality lost. */
  readonly risk?: { readonly alpha: number; readonly delta: number };
  /** Expert that the conversation has had so far. */
  readonly currentExpert?: string | undefined;
  /** Only these are ranked; left out: all. */
  readonly experts?: readonly string[];
}

/** A decision, and what an expert should be given. */
export interface RoutedText {
  readonly decision: routerV1.Decision;
  readonly strippedPrompt: string;
  readonly timings: readonly routerV1.StageTiming[];
  readonly durationMs: number;
}

/** Asks the router. */
export class RouteText {
  constructor(private readonly router: RpcClient<typeof routerV1.RouterService>) {}

  async run(wish: RouteWish, scope: RequestScope): Promise<RoutedText> {
    const startedAt = performance.now();
    const deadlineMs = scope.deadlineAtMs - Date.now();
    if (deadlineMs <= 0)
      throw new ThalamusError('DEADLINE_EXCEEDED', 'No time was left to route the request; allow more.');
    const request = {
      prompt: wish.prompt,
      task: wish.task,
      tenant: scope.caller.tenant,
      flags: wish.flags.map(flagMessage),
      topK: wish.topK ?? 0,
      ...(wish.risk ? { risk: { alpha: wish.risk.alpha, delta: wish.risk.delta } } : {}),
      requestId: scope.requestId,
      currentExpert: wish.currentExpert ?? '',
      experts: [...(wish.experts ?? [])],
    };
    const metadata = { [RPC_METADATA.requestId]: scope.requestId };
    const answer = await this.router
      .route(request, { signal: scope.signal, deadlineMs, metadata })
      .catch(routerFault);
    if (!answer.decision)
      throw new ThalamusError('UPSTREAM_ERROR', 'The router answered without a decision.');
    return {
      decision: answer.decision,
      strippedPrompt: answer.strippedPrompt,
      timings: answer.timings,
      durationMs: performance.now() - startedAt,
    };
  }
}

function flagMessage(flag: Flag): MessageInitShape<typeof routerV1.FlagSchema> {
  return {
    name: flag.name,
    form:
      flag.kind === 'level' ? { case: 'level', value: flag.level } : { case: flag.kind, value: flag.value },
  };
}

/** Callers are told what to do, not where the router would be. */
function routerFault(fault: unknown): never {
  const error = toThalamusError(fault);
  if (error.code !== 'UPSTREAM_UNAVAILABLE') throw error;
  throw new ThalamusError(
    'UPSTREAM_UNAVAILABLE',
    'The router cannot be reached just now; try again in a moment, or name an expert.',
    { cause: error, retryAfterMs: 1_000 },
  );
}
