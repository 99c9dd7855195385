import { create } from '@bufbuild/protobuf';
import { ModelInferRequestSchema, type ModelInferRequest } from '../gen/inference/grpc_service_pb.js';
import { flagOf, invalidField, listOf, objectOf, textOf } from '../json/json-fields.js';
import { readJsonObject, type JsonObject } from '../json/read-json.js';
import { parameterFields, parametersOf } from './json-parameters.js';
import { rawOfJson } from './json-tensors.js';

/** Header that says how many bytes of a body are JSON, when tensors in binary form follow: Triton's extension. */
export const HEADER_LENGTH = 'inference-header-content-length';

const FIELDS = ['id', 'model_name', 'model_version', 'parameters', 'inputs', 'outputs'];
/** Most inputs, and most outputs, of a request. */
const MAX_TENSORS = 256;
/** Most sizes of a shape. */
const MAX_RANK = 32;

/** Which outputs are wanted in binary form. */
export interface BinaryWish {
  readonly isDefault: boolean;
  /** By the output's name, where the request says so. */
  readonly of: ReadonlyMap<string, boolean>;
}

/** A request as the rest of the mesh knows it, and how its answer is to be written. */
export interface ReadInferRequest {
  readonly request: ModelInferRequest;
  readonly binary: BinaryWish;
}

/** What an HTTP request says outside its body. */
export interface InferRequestHead {
  readonly modelName: string;
  readonly modelVersion: string;
  /** The header `Inference-Header-Content-Length`; undefined: the whole body is JSON. */
  readonly headerLength: string | undefined;
}

/**
 * The inference request in a body of the Open Inference Protocol over HTTP, with Triton's binary tensors: all inputs become raw
 * contents, those in binary form as views into the body.
 * Sources: KServe, docs/predict-api/v2/required_api.md; Triton, docs/protocol/extension_binary_data.md.
 * @throws REQUEST_INVALID naming the field, TENSOR_INVALID naming the input
 */
export function readInferRequest(body: Uint8Array, head: InferRequestHead): ReadInferRequest {
  const { modelName, modelVersion } = head;
  const length = jsonLength(head.headerLength, body.byteLength);
  const fields = objectOf(readJsonObject(body.subarray(0, length), 'exact'), '', FIELDS);
  // Clients of KServe name the model in the body, too.
  sameAsPath(fields, 'model_name', modelName);
  sameAsPath(fields, 'model_version', modelVersion);
  const { binary_data_output: binaryOutput, ...parameters } = parameterFields(
    fields['parameters'],
    'parameters',
  );
  const rest = new Rest(body.subarray(length));
  const inputs = listOf(fields['inputs'], 'inputs', MAX_TENSORS).map((entry, index) =>
    readInput(entry, `inputs[${index}]`, rest),
  );
  rest.expectEmpty();
  const outputs = listOf(fields['outputs'], 'outputs', MAX_TENSORS).map((entry, index) =>
    readOutput(entry, `outputs[${index}]`),
  );
  const request = create(ModelInferRequestSchema, {
    modelName,
    modelVersion,
    id: textOf(fields['id'], 'id'),
    parameters: parametersOf(parameters, 'parameters'),
    inputs: inputs.map(({ input }) => input),
    outputs: outputs.map(({ output }) => output),
    rawInputContents: inputs.map(({ raw }) => raw),
  });
  const wished = outputs.flatMap(({ output, isBinary }) =>
    isBinary === undefined ? [] : [[output.name, isBinary] as const],
  );
  const isDefault = flagOf(binaryOutput, 'parameters.binary_data_output', false);
  return { request, binary: { isDefault, of: new Map(wished) } };
}

/** @throws REQUEST_INVALID for a field that says something else than the path */
function sameAsPath(fields: JsonObject, name: string, inPath: string): void {
  const value = textOf(fields[name], name);
  if (value !== '' && value !== inPath)
    throw invalidField(name, 'is another than that of the path; leave it out, or say the same');
}

function jsonLength(header: string | undefined, bodyLength: number): number {
  if (header === undefined) return bodyLength;
  const length = /^\d{1,15}$/.test(header) ? Number(header) : NaN;
  if (length >= 1 && length <= bodyLength) return length;
  throw invalidField(
    HEADER_LENGTH,
    `must be the number of bytes of the JSON, 1 to the ${bodyLength} of the whole body`,
  );
}

function readInput(entry: unknown, at: string, rest: Rest) {
  const fields = objectOf(entry, at, ['name', 'shape', 'datatype', 'parameters', 'data']);
  const { binary_data_size: size, ...parameters } = parameterFields(fields['parameters'], `${at}.parameters`);
  const head = {
    name: textOf(fields['name'], `${at}.name`),
    datatype: textOf(fields['datatype'], `${at}.datatype`),
    shape: listOf(fields['shape'], `${at}.shape`, MAX_RANK).map((value, index) =>
      sizeOf(value, `${at}.shape[${index}]`),
    ),
  };
  const input = { ...head, parameters: parametersOf(parameters, `${at}.parameters`) };
  return { input, raw: rawOf(fields, head, size, { at, rest }) };
}

function rawOf(
  fields: JsonObject,
  head: Parameters<typeof rawOfJson>[0],
  size: unknown,
  { at, rest }: { readonly at: string; readonly rest: Rest },
): Uint8Array {
  const { data } = fields;
  if (size === undefined) {
    if (data === undefined)
      throw invalidField(
        `${at}.data`,
        'is missing; give the elements, or parameters.binary_data_size and the bytes behind the JSON',
      );
    return rawOfJson(head, data);
  }
  if (data !== undefined)
    throw invalidField(`${at}.data`, 'is given beside parameters.binary_data_size; send one');
  return rest.take(size, `${at}.parameters.binary_data_size`);
}

function sizeOf(value: unknown, at: string): bigint {
  const isWhole = typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
  if (!isWhole || value < -(2n ** 63n) || value >= 2n ** 63n)
    throw invalidField(at, 'must be a whole number');
  return BigInt(value);
}

function readOutput(entry: unknown, at: string) {
  const fields = objectOf(entry, at, ['name', 'parameters']);
  const { binary_data: binary, ...parameters } = parameterFields(fields['parameters'], `${at}.parameters`);
  const output = {
    name: textOf(fields['name'], `${at}.name`),
    parameters: parametersOf(parameters, `${at}.parameters`),
  };
  return {
    output,
    isBinary: binary === undefined ? undefined : flagOf(binary, `${at}.parameters.binary_data`, false),
  };
}

/** The bytes behind the JSON, which inputs take one after the other. */
class Rest {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  take(size: unknown, field: string): Uint8Array {
    const left = this.bytes.byteLength - this.at;
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > left)
      throw invalidField(
        field,
        `must be a whole number from 0 to the ${left} bytes that are left behind the JSON`,
      );
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  expectEmpty(): void {
    const left = this.bytes.byteLength - this.at;
    if (left > 0)
      throw invalidField(
        'body',
        `has ${left} bytes behind the JSON that no input takes by its parameters.binary_data_size`,
      );
  }
}
