import type { MessageInitShape } from '@bufbuild/protobuf';
import { joinBytesElements, type inference } from '@thalamus/contracts';
import { compositionText, usedByAll, type CompositionUse } from './composition-use.js';
import { AUTO, isAuto } from './oip-auto.js';
import type { LabelScore } from './oip-answers.js';

/** What one text got of the expert that was chosen for it. */
export interface AutoAnswer {
  readonly expert: string;
  readonly version: string;
  /** Best first. */
  readonly scores: readonly LabelScore[];
  readonly truncated: boolean;
  readonly composition?: CompositionUse | undefined;
}

/** Parameters of the answer. */
const PARAMETERS = {
  /** Whether an expert saw only the first tokens of a text. */
  truncated: 'truncated',
  /** What became of a composition: `compose:a@2+b@1; answered=parents; reason=building`. */
  composition: 'composition',
} as const;

type Response = MessageInitShape<typeof inference.ModelInferResponseSchema>;

const encoder = new TextEncoder();

/**
 * The answer of `auto` and of compositions: label, score and expert, or those of them that are asked for, one entry a text. In the form in which it was asked: raw contents to clients
 * that send raw contents, which is all that some of them read, typed ones to the others.
 */
export function autoAnswer(request: inference.ModelInferRequest, answers: readonly AutoAnswer[]): Response {
  const shape = [BigInt(answers.length)];
  const labels = answers.map(({ scores }) => encoder.encode(scores[0]?.label ?? ''));
  const scores = answers.map(({ scores: own }) => own[0]?.score ?? 0);
  const experts = answers.map(({ expert, version }) => encoder.encode(`${expert}@${version}`));
  const wanted = new Set(request.outputs.map(({ name }) => name));
  const outputs = [
    {
      tensor: { name: 'label', datatype: 'BYTES', shape },
      contents: { bytesContents: labels },
      raw: () => joinBytesElements(labels),
    },
    {
      tensor: { name: 'score', datatype: 'FP32', shape },
      contents: { fp32Contents: scores },
      raw: () => rawFloats(scores),
    },
    {
      tensor: { name: 'expert', datatype: 'BYTES', shape },
      contents: { bytesContents: experts },
      raw: () => joinBytesElements(experts),
    },
  ].filter(({ tensor }) => wanted.size === 0 || wanted.has(tensor.name));
  const modelName = isAuto(request.modelName) ? AUTO : request.modelName;
  const head = { id: request.id, modelName, parameters: parametersOf(answers) };
  if (request.rawInputContents.length === 0)
    return { ...head, outputs: outputs.map(({ tensor, contents }) => ({ ...tensor, contents })) };
  return {
    ...head,
    outputs: outputs.map(({ tensor }) => tensor),
    rawOutputContents: outputs.map(({ raw }) => raw()),
  };
}

function parametersOf(answers: readonly AutoAnswer[]) {
  const boolParam = answers.some(({ truncated }) => truncated);
  const use = usedByAll(answers);
  return {
    [PARAMETERS.truncated]: { parameterChoice: { case: 'boolParam' as const, value: boolParam } },
    ...(use && {
      [PARAMETERS.composition]: {
        parameterChoice: { case: 'stringParam' as const, value: compositionText(use) },
      },
    }),
  };
}

function rawFloats(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, index) => {
    view.setFloat32(index * 4, value, true);
  });
  return new Uint8Array(view.buffer);
}
