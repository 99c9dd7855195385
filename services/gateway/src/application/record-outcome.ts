import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ATTRIBUTES, METRICS, TOPICS } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { encodeEvent, type BusRecord } from '@thalamus/events';
import { counter } from '@thalamus/telemetry';
import { randomUUID } from 'node:crypto';
import type { RequestScope } from '../domain/caller.js';
import type { ResolvedExpert } from './resolve-expert.js';
import type { RoutedText } from './route-text.js';

/** Takes records without waiting for the bus. */
export interface OutcomeSink {
  enqueue(record: BusRecord): void;
}

interface Common {
  readonly operation: string;
  readonly task: string;
  readonly scope: RequestScope;
  readonly target: ResolvedExpert | undefined;
  readonly routed: RoutedText | undefined;
}

const SOURCE = '/gateway';

/** Says how each request ended: a completion event and a counter. Never text, never an embedding. */
export class RecordOutcome {
  private readonly requests = counter(METRICS.requests);

  constructor(private readonly sink: OutcomeSink) {}

  succeeded(
    outcome: Common & {
      readonly promptTokens: number;
      readonly confidence: number;
      readonly timingsMs: Readonly<Record<string, number>>;
    },
  ): void {
    this.record(outcome, {
      timingsMs: { ...outcome.timingsMs },
      inputTokens: outcome.promptTokens,
      confidence: outcome.confidence,
      errorCode: '',
    });
  }

  failed(outcome: Common & { readonly fault: unknown; readonly totalMs: number }): void {
    this.record(outcome, {
      timingsMs: { total: outcome.totalMs },
      inputTokens: 0,
      confidence: 0,
      errorCode: toThalamusError(outcome.fault).code,
    });
  }

  /** Stores what somebody says of an answer; returns the id of the event. */
  feedback(
    given: { readonly requestId: string; readonly score: number | undefined; readonly label: string },
    scope: RequestScope,
  ): string {
    const id = randomUUID();
    const { requestId, label, score } = given;
    const message = {
      requestId,
      label,
      tenant: scope.caller.tenant,
      givenAt: timestampFromMs(Date.now()),
      ...(score === undefined ? {} : { score }),
    };
    this.sink.enqueue(encodeEvent(TOPICS.feedbackGiven, message, { source: SOURCE, key: requestId, id }));
    return id;
  }

  private record(
    outcome: Common,
    facts: { timingsMs: Record<string, number>; inputTokens: number; confidence: number; errorCode: string },
  ): void {
    const { operation, task, scope, target, routed } = outcome;
    this.requests.add(1, {
      [ATTRIBUTES.stage]: operation,
      [ATTRIBUTES.outcome]: facts.errorCode || 'OK',
      [ATTRIBUTES.expertName]: target?.expert ?? '',
    });
    const decision = routed?.decision;
    const chosen = decision?.ranked.find(({ expert }) => expert === target?.expert);
    this.sink.enqueue(
      encodeEvent(
        TOPICS.requestCompleted,
        {
          requestId: scope.requestId,
          tenant: scope.caller.tenant,
          task,
          operation,
          expert: target?.expert ?? '',
          version: target?.version ?? '',
          channel: target?.channel ?? '',
          routed: decision !== undefined,
          routerModel: decision ? `${decision.routerModel}@${decision.routerModelVersion}` : '',
          encoderDigest: decision?.encoderDigest ?? '',
          regionId: decision?.regionId ?? 0,
          propensity: chosen?.propensity ?? 0,
          predictedLoss: chosen?.predictedLoss ?? 0,
          candidates: (decision?.ranked ?? []).map(({ expert, predictedLoss, total }) => ({
            expert,
            predictedLoss,
            total,
          })),
          abstained: decision?.abstained ?? false,
          samplingRate: 1,
          completedAt: timestampFromMs(Date.now()),
          ...facts,
        },
        { source: SOURCE, key: scope.requestId },
      ),
    );
  }
}
