import { ThalamusError } from '@thalamus/errors';
import type { RequestScope } from '../domain/caller.js';
import { round } from '../domain/milliseconds.js';
import { parseModelReference } from '../domain/model-reference.js';
import { readEmbeddings, tokensOf } from '../domain/oip-answers.js';
import { textsRequest } from '../domain/oip-questions.js';
import type { InferOnHost } from './infer-on-host.js';
import type { RecordOutcome } from './record-outcome.js';
import type { ResolveExpert } from './resolve-expert.js';

const TASK = 'feature-extraction';

/** Vectors of texts. */
export interface EmbeddedTexts {
  readonly expert: string;
  readonly version: string;
  readonly vectors: readonly Float32Array[];
  readonly promptTokens: number;
}

/** Has a named feature-extraction expert embed texts; there is no auto, since vectors of two experts do not compare. */
export class EmbedTexts {
  constructor(
    private readonly resolve: ResolveExpert,
    private readonly hosts: InferOnHost,
    private readonly outcomes: RecordOutcome,
  ) {}

  async run(
    wish: { readonly inputs: readonly string[]; readonly model: string },
    scope: RequestScope,
  ): Promise<EmbeddedTexts> {
    const startedAt = performance.now();
    const reference = parseModelReference(wish.model);
    if (reference.kind !== 'expert')
      throw new ThalamusError(
        'REQUEST_INVALID',
        'Embeddings need a named expert: vectors of different experts cannot be compared.',
        { violations: [{ field: 'model', description: 'must name a feature-extraction expert' }] },
      );
    const target = this.resolve.run(reference.expert, reference.version, scope.caller);
    if (target.task !== TASK)
      throw new ThalamusError('REQUEST_INVALID', `${target.expert} serves ${target.task}, not ${TASK}.`, {
        violations: [{ field: 'model', description: `must serve ${TASK}` }],
      });
    try {
      const response = await this.hosts.run(
        target.expert,
        target.version,
        textsRequest(wish.inputs, scope.requestId),
        scope,
      );
      const promptTokens = tokensOf(response);
      this.outcomes.succeeded({
        operation: 'embeddings',
        task: TASK,
        scope,
        target,
        routed: undefined,
        promptTokens,
        confidence: 0,
        timingsMs: { total: round(performance.now() - startedAt) },
      });
      return {
        expert: target.expert,
        version: target.version,
        vectors: readEmbeddings(response),
        promptTokens,
      };
    } catch (fault) {
      this.outcomes.failed({
        operation: 'embeddings',
        task: TASK,
        scope,
        target,
        routed: undefined,
        fault,
        totalMs: performance.now() - startedAt,
      });
      throw fault;
    }
  }
}
