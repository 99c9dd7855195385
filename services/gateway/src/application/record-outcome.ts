import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ATTRIBUTES, METRICS, TOPICS, type eventsV1, type routerV1 } from '@thalamus/contracts';
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

/** Hears of every expert that has answered; never waits, never fails. */
export interface ExpertUses {
  used(expert: string): void;
}

/** What a request was about, as far as it got. */
interface Common {
  /** classifications, embeddings, route, ModelInfer. */
  readonly operation: string;
  readonly task: string;
  readonly scope: RequestScope;
  readonly target: ResolvedExpert | undefined;
  readonly routed: RoutedText | undefined;
}

type Completed = MessageInitShape<typeof eventsV1.RequestCompletedSchema>;
type Facts = Pick<
  Completed,
  'timingsMs' | 'inputTokens' | 'outputTokens' | 'costUsd' | 'confidence' | 'answerLabel'
> & { readonly errorCode: string };

const SOURCE = '/gateway';
const NO_TARGET = {
  ...{ expert: '', version: '', channel: '' },
  ...{ release: undefined, candidateError: undefined },
} as const;

/** Says how each request ended: a completion event and a counter. Never text, never an embedding. */
export class RecordOutcome {
  private readonly requests = counter(METRICS.requests);
  private readonly chatCost = counter(METRICS.chatCost);
  private readonly candidateFailures = counter(METRICS.candidateFailures);

  constructor(
    private readonly sink: OutcomeSink,
    private readonly uses: ExpertUses = { used: () => undefined },
  ) {}

  succeeded(
    outcome: Common & {
      readonly promptTokens: number;
      readonly outputTokens?: number;
      /** Left out where answers have no price. */
      readonly costUsd?: number;
      readonly confidence: number;
      readonly timingsMs: Readonly<Record<string, number>>;
      /** Label of a classifier; told while a release of it is live. */
      readonly label?: string;
    },
  ): void {
    if (outcome.target) this.uses.used(outcome.target.expert);
    if (outcome.costUsd !== undefined && outcome.target)
      this.chatCost.add(outcome.costUsd, { [ATTRIBUTES.expertName]: outcome.target.expert });
    this.record(outcome, {
      timingsMs: { ...outcome.timingsMs },
      inputTokens: outcome.promptTokens,
      outputTokens: outcome.outputTokens ?? 0,
      costUsd: outcome.costUsd ?? 0,
      confidence: outcome.confidence,
      errorCode: '',
      answerLabel: outcome.target?.release ? (outcome.label ?? '') : '',
    });
  }

  failed(outcome: Common & { readonly fault: unknown; readonly totalMs: number }): void {
    this.record(outcome, {
      timingsMs: { total: outcome.totalMs },
      inputTokens: 0,
      outputTokens: 0,
      costUsd: 0,
      confidence: 0,
      answerLabel: '',
      errorCode: toThalamusError(outcome.fault).code,
    });
  }

  /** Tells the end of a request that failed before anything else told it: a bad body, a limit. */
  failedEarly(operation: Operation, scope: RequestScope, fault: unknown): void {
    if (scope.completion.isRecorded) return;
    this.failed({ ...operation, scope, target: undefined, routed: undefined, fault, totalMs: 0 });
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

  private record(outcome: Common, facts: Facts): void {
    const { operation, task, scope, routed } = outcome;
    const { expert, version, channel, release, candidateError } = outcome.target ?? NO_TARGET;
    scope.completion.isRecorded = true;
    this.requests.add(1, {
      [ATTRIBUTES.stage]: operation,
      [ATTRIBUTES.outcome]: facts.errorCode || 'OK',
      [ATTRIBUTES.expertName]: expert,
    });
    if (candidateError !== undefined)
      this.candidateFailures.add(1, {
        [ATTRIBUTES.expertName]: expert,
        [ATTRIBUTES.outcome]: candidateError,
      });
    const message: Completed = {
      requestId: scope.requestId,
      tenant: scope.caller.tenant,
      task,
      operation,
      expert,
      version,
      channel,
      releaseId: release?.id ?? '',
      candidateErrorCode: candidateError ?? '',
      samplingRate: 1,
      completedAt: timestampFromMs(Date.now()),
      ...(routed ? decisionFacts(routed.decision, expert) : {}),
      ...facts,
    };
    this.sink.enqueue(
      encodeEvent(TOPICS.requestCompleted, message, { source: SOURCE, key: scope.requestId }),
    );
  }
}

/** What kind of request it is. */
export interface Operation {
  readonly operation: string;
  readonly task: string;
}

function decisionFacts(decision: routerV1.Decision, expert: string): Completed {
  const chosen = decision.ranked.find((ranked) => ranked.expert === expert);
  return {
    routed: true,
    routerModel: `${decision.routerModel}@${decision.routerModelVersion}`,
    encoderDigest: decision.encoderDigest,
    regionId: decision.regionId,
    propensity: chosen?.propensity ?? 0,
    predictedLoss: chosen?.predictedLoss ?? 0,
    candidates: decision.ranked.map(({ expert: name, predictedLoss, total }) => ({
      expert: name,
      predictedLoss,
      total,
    })),
    abstained: decision.abstained,
  };
}
