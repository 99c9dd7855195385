import type { inference } from '@thalamus/contracts';
import type { RequestScope } from '../domain/caller.js';
import { round } from '../domain/milliseconds.js';
import { tokensOf } from '../domain/oip-answers.js';
import type { InferOnHost } from './infer-on-host.js';
import type { RecordOutcome } from './record-outcome.js';
import type { ResolveExpert } from './resolve-expert.js';

/** What inferences are called in events and metrics, whatever protocol they came by. */
export const INFER_OPERATION = { operation: 'ModelInfer', task: '' } as const;

/** Passes the tensors of a caller to a host that has the named expert, untouched. */
export class InferTensors {
  constructor(
    private readonly resolve: ResolveExpert,
    private readonly hosts: InferOnHost,
    private readonly outcomes: RecordOutcome,
  ) {}

  async run(
    request: inference.ModelInferRequest,
    scope: RequestScope,
  ): Promise<inference.ModelInferResponse> {
    const startedAt = performance.now();
    const pinned = request.modelVersion === '' ? undefined : request.modelVersion;
    const target = this.resolve.run(request.modelName, pinned, scope.caller);
    const facts = { ...INFER_OPERATION, task: target.task, scope, target, routed: undefined };
    const { id, parameters, inputs, outputs, rawInputContents } = request;
    try {
      const passed = { id, parameters, inputs, outputs, rawInputContents };
      const response = await this.hosts.run(target.expert, target.version, passed, scope);
      const total = round(performance.now() - startedAt);
      const promptTokens = tokensOf(response);
      this.outcomes.succeeded({ ...facts, promptTokens, confidence: 0, timingsMs: { infer: total, total } });
      return response;
    } catch (fault) {
      this.outcomes.failed({ ...facts, fault, totalMs: performance.now() - startedAt });
      throw fault;
    }
  }
}
