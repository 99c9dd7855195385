import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  ModelInferResponseSchema,
  type InferTensorContents,
  type ModelInferResponse,
  type ModelInferResponse_InferOutputTensor as OutputTensor,
} from '../gen/inference/grpc_service_pb.js';
import { writeJson } from '../json/read-json.js';
import { joinBytesElements } from './bytes-elements.js';
import { oipDatatypeOf } from './datatypes.js';
import type { BinaryWish } from './infer-request.js';
import { parametersJson } from './json-parameters.js';
import { jsonOfRaw } from './json-tensors.js';

/** A body with the number of its bytes that are JSON; undefined when all are. */
export interface WrittenResponse {
  readonly body: Uint8Array;
  readonly headerLength: number | undefined;
}

/**
 * The body that answers an inference request over HTTP: outputs in binary form behind the JSON where that was wished, flat in
 * JSON elsewhere. @throws TENSOR_INVALID for an output that JSON has no form for
 */
export function writeInferResponse(
  answer: MessageInitShape<typeof ModelInferResponseSchema>,
  binary: BinaryWish,
): WrittenResponse {
  const response = create(ModelInferResponseSchema, answer);
  const behind: Uint8Array[] = [];
  const outputs = response.outputs.map((output, index) => {
    const raw = rawOutput(response, output, index);
    const isBinary = binary.of.get(output.name) ?? binary.isDefault;
    if (isBinary) behind.push(raw);
    const parameters = {
      ...parametersJson(output.parameters),
      ...(isBinary ? { binary_data_size: raw.byteLength } : {}),
    };
    const { name, datatype, shape } = output;
    const head = { name, datatype, shape, ...(Object.keys(parameters).length > 0 ? { parameters } : {}) };
    return isBinary ? writeJson(head) : withField(head, 'data', jsonOfRaw(output, raw));
  });
  const { modelName, modelVersion, id, parameters } = response;
  const head = {
    ...(id === '' ? {} : { id }),
    model_name: modelName,
    model_version: modelVersion,
    ...(Object.keys(parameters).length > 0 ? { parameters: parametersJson(parameters) } : {}),
  };
  const json = Buffer.from(withField(head, 'outputs', `[${outputs.join(',')}]`));
  if (behind.length === 0) return { body: json, headerLength: undefined };
  return { body: Buffer.concat([json, ...behind]), headerLength: json.byteLength };
}

/** The JSON text of an object with one field more, whose text is there already: a million numbers are written once. */
function withField(head: object, name: string, text: string): string {
  return `${writeJson(head).slice(0, -1)},"${name}":${text}}`;
}

function rawOutput(
  { rawOutputContents }: ModelInferResponse,
  output: OutputTensor,
  index: number,
): Uint8Array {
  const raw = rawOutputContents[index];
  if (raw !== undefined) return raw;
  return output.contents ? rawOfContents(output.datatype, output.contents) : new Uint8Array();
}

function rawOfContents(datatype: string, contents: InferTensorContents): Uint8Array {
  if (datatype === 'BYTES') return joinBytesElements(contents.bytesContents);
  const given = [
    contents.boolContents.map(Number),
    contents.intContents,
    contents.int64Contents,
    contents.uintContents,
    contents.uint64Contents,
    contents.fp32Contents,
    contents.fp64Contents,
  ];
  const elements = given.find((list) => list.length > 0) ?? [];
  const kind = oipDatatypeOf(datatype);
  if (!kind) throw new TypeError(`an output has the unknown datatype ${datatype}`);
  const buffer = new ArrayBuffer(elements.length * kind.width);
  const target = kind.view(buffer) as { [at: number]: number | bigint };
  elements.forEach((element, at) => {
    target[at] = element;
  });
  return new Uint8Array(buffer);
}
