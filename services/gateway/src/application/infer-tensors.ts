import type { inference } from '@thalamus/contracts';
import type { RequestScope } from '../domain/caller.js';
import { round } from '../domain/milliseconds.js';
import { tokensOf } from '../domain/oip-answers.js';
import type { RecordOutcome } from './record-outcome.js';
import type { AskVersion } from './releases/ask-version.js';
import type { ResolveExpert } from './resolve-expert.js';

/** What inferences are called in events and metrics, whatever protocol they came by. */
export const INFER_OPERATION = { operation: 'ModelInfer', task: '' } as const;

/** Passes the tensors of a caller to a host that has the named expert, untouched. */
export class InferTensors {
  constructor(
    private readonly resolve: ResolveExpert,
    private readonly versions: AskVersion,
    private readonly outcomes: RecordOutcome,
  ) {}

  async run(
    request: inference.ModelInferRequest,
    scope: RequestScope,
  ): Promise<inference.ModelInferResponse> {
    const startedAt = performance.now();
    const pinned = request.modelVersion === '' ? undefined : request.modelVersion;
    let target = this.resolve.run(request.modelName, pinned, scope);
    const facts = { ...INFER_OPERATION, task: target.task, scope, routed: undefined };
    const { id, parameters, inputs, outputs, rawInputContents } = request;
    try {
      const passed = { id, parameters, inputs, outputs, rawInputContents };
      const { answer, label } = await this.versions.run({
        target,
        request: passed,
        scope,
        read: (response) => response,
        turnedTo: (other) => {
          target = other;
        },
      });
      const total = round(performance.now() - startedAt);
      const promptTokens = tokensOf(answer);
      const timingsMs = { infer: total, total };
      this.outcomes.succeeded({ ...facts, target, promptTokens, confidence: 0, timingsMs, label });
      return answer;
    } catch (fault) {
      this.outcomes.failed({ ...facts, target, fault, totalMs: performance.now() - startedAt });
      throw fault;
    }
  }
}
