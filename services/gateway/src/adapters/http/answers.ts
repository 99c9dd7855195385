import { toJson } from '@bufbuild/protobuf';
import { routerV1, type registryV1 } from '@thalamus/contracts';
import type { Classification } from '../../application/classify-text.js';
import type { EmbeddedTexts } from '../../application/embed-texts.js';

/** A decision in the JSON form of its proto message: camelCase names, every field present. */
export function decisionJson(decision: routerV1.Decision) {
  return toJson(routerV1.DecisionSchema, decision, { alwaysEmitImplicit: true });
}

/** One answer of /v1/classifications. */
export function classificationJson(answer: Classification, index: number, withDecision: boolean) {
  return {
    object: 'classification',
    index,
    expert: answer.expert,
    version: answer.version,
    label: answer.scores[0]?.label ?? null,
    scores: answer.scores,
    truncated: answer.truncated,
    ...(withDecision && answer.decision ? { decision: decisionJson(answer.decision) } : {}),
    timings_ms: answer.timingsMs,
  };
}

/** The answer of /v1/embeddings. */
export function embeddingsJson(answer: EmbeddedTexts, format: 'float' | 'base64') {
  const encode = (vector: Float32Array) =>
    format === 'float'
      ? Array.from(vector)
      : Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
  return {
    object: 'list',
    data: answer.vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
    model: `${answer.expert}@${answer.version}`,
    usage: { prompt_tokens: answer.promptTokens, total_tokens: answer.promptTokens },
  };
}

/** An expert as OpenAI lists models, with what the mesh knows of it under `thalamus`. */
export function modelJson(expert: registryV1.Expert, stable: registryV1.ExpertVersion | undefined) {
  return {
    id: expert.name,
    object: 'model',
    created: Number(stable?.releasedAt?.seconds ?? 0n),
    owned_by: 'thalamus',
    thalamus: {
      task: expert.task,
      description: expert.description,
      stable: expert.stable,
      label_count: stable?.labelCount ?? 0,
      max_tokens: stable?.maxTokens ?? 0,
      parameter_count: Number(stable?.parameterCount ?? 0n),
      licence: stable?.licence ?? '',
    },
  };
}

/** The model that is chosen anew for each request. */
export const AUTO_MODEL = {
  id: 'auto',
  object: 'model',
  created: 0,
  owned_by: 'thalamus',
  thalamus: { task: 'text-classification', description: 'The expert that the router predicts to do best.' },
} as const;
