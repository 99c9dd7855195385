import { textsRequest } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RequestScope } from '../domain/caller.js';
import { round } from '../domain/milliseconds.js';
import { parseModelReference } from '../domain/model-reference.js';
import { readEmbeddings, tokensOf } from '../domain/oip-answers.js';
import type { RecordOutcome } from './record-outcome.js';
import type { AskVersion } from './releases/ask-version.js';
import { armOf, type ReleaseArm, type ResolveExpert } from './resolve-expert.js';

const TASK = 'feature-extraction';

/** Vectors of texts. */
export interface EmbeddedTexts {
  readonly expert: string;
  readonly version: string;
  /** stable or candidate while a release is live; else undefined. */
  readonly arm: ReleaseArm | undefined;
  readonly vectors: readonly Float32Array[];
  readonly promptTokens: number;
}

/** Has a named feature-extraction expert embed texts; there is no auto, since vectors of two experts do not compare. */
export class EmbedTexts {
  constructor(
    private readonly resolve: ResolveExpert,
    private readonly versions: AskVersion,
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
    let target = this.resolve.run(reference.expert, reference.version, scope);
    if (target.task !== TASK)
      throw new ThalamusError('REQUEST_INVALID', `${target.expert} serves ${target.task}, not ${TASK}.`, {
        violations: [{ field: 'model', description: `must serve ${TASK}` }],
      });
    try {
      const { answer } = await this.versions.run({
        target,
        request: textsRequest(wish.inputs, scope.requestId),
        scope,
        read: (response) => ({ vectors: readEmbeddings(response), promptTokens: tokensOf(response) }),
        turnedTo: (other) => {
          target = other;
        },
      });
      this.outcomes.succeeded({
        operation: 'embeddings',
        task: TASK,
        scope,
        target,
        routed: undefined,
        promptTokens: answer.promptTokens,
        confidence: 0,
        timingsMs: { total: round(performance.now() - startedAt) },
      });
      return { ...answer, expert: target.expert, version: target.version, arm: armOf(target) };
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
