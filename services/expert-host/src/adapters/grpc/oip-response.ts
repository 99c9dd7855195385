import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inference } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { Tensor } from '@thalamus/tensor';
import type { ExpertAnswer } from '../../application/served-expert.js';
import { topClasses } from '../../domain/oip-classification.js';
import { encodeOutput, type EncodedOutput } from '../../domain/oip-tensors.js';

/** A message that answers a request. */
export type InferResponse = MessageInitShape<typeof inference.ModelInferResponseSchema>;

/** Triton's mark of the last answer to a request of a stream: there is one for each. */
export const FINAL = {
  triton_final_response: { parameterChoice: { case: 'boolParam' as const, value: true } },
};

/** What was asked for of the outputs, and by which version it was answered. */
export interface Asked {
  readonly request: inference.ModelInferRequest;
  readonly version: string;
  /** Classes that are wanted instead of an output, by its name. */
  readonly classes: ReadonlyMap<string, number>;
  readonly isOfStream: boolean;
}

/** @throws TENSOR_INVALID for an output that the expert has not, or that is asked for twice */
export function inferResponse(asked: Asked, answer: ExpertAnswer): InferResponse {
  const { request, version, classes } = asked;
  const { modelName, id, outputs } = request;
  checkOutputs(
    outputs.map(({ name }) => name),
    answer,
  );
  const wanted = new Set(outputs.map(({ name }) => name));
  const chosen = [...answer.outputs]
    .filter(([name]) => wanted.size === 0 || wanted.has(name))
    .map(([name, value]) => encodedOutput(name, value, answer, classes.get(name)));
  return {
    modelName,
    modelVersion: version,
    id,
    outputs: chosen.map(({ tensor }) => tensor),
    rawOutputContents: chosen.map(({ raw }) => raw),
    parameters: {
      prompt_tokens: { parameterChoice: { case: 'int64Param', value: BigInt(answer.promptTokens) } },
      truncated: { parameterChoice: { case: 'boolParam', value: answer.truncated } },
      batch_size: { parameterChoice: { case: 'int64Param', value: BigInt(answer.batchSize) } },
      ...(asked.isOfStream ? FINAL : {}),
    },
  };
}

function checkOutputs(names: readonly string[], { outputs }: ExpertAnswer): void {
  names.forEach((name, index) => {
    const fault = !outputs.has(name)
      ? `is unknown; there are ${[...outputs.keys()].join(', ')}`
      : names.indexOf(name) < index
        ? 'is asked for twice'
        : undefined;
    if (fault !== undefined)
      throw new ThalamusError('TENSOR_INVALID', `Output ${name.slice(0, 64)} ${fault}.`, {
        violations: [{ field: 'outputs', description: name.slice(0, 64) }],
      });
  });
}

function encodedOutput(
  name: string,
  value: Tensor,
  { labels }: ExpertAnswer,
  classes: number | undefined,
): EncodedOutput {
  const own = name === 'scores' ? labels : undefined;
  if (classes !== undefined) return encodeOutput(name, topClasses(name, value, classes, own));
  return encodeOutput(
    name,
    value,
    own ? { labels: { parameterChoice: { case: 'stringParam', value: JSON.stringify(own) } } } : {},
  );
}
