import type { MessageInitShape } from '@bufbuild/protobuf';
import type { InferParameter, InferParameterSchema } from '../gen/inference/grpc_service_pb.js';
import { invalidField, objectOf } from '../json/json-fields.js';
import type { JsonObject } from '../json/read-json.js';

type Parameters = Record<string, MessageInitShape<typeof InferParameterSchema>>;

const INT64_MAX = 2n ** 63n - 1n;

/** The parameters of a JSON object: true and false, texts and numbers. @throws REQUEST_INVALID naming the first other one */
export function parametersOf(fields: JsonObject, at: string): Parameters {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      { parameterChoice: choiceOf(value, `${at}.${name.slice(0, 64)}`) },
    ]),
  );
}

/** The object `parameters` at a place, which may be absent. @throws REQUEST_INVALID */
export function parameterFields(value: unknown, at: string): JsonObject {
  return value === undefined ? {} : objectOf(value, at, 'any');
}

function choiceOf(value: unknown, at: string) {
  switch (typeof value) {
    case 'boolean':
      return { case: 'boolParam', value } as const;
    case 'string':
      if (value.isWellFormed()) return { case: 'stringParam', value } as const;
      break;
    case 'number':
      if (Number.isSafeInteger(value)) return { case: 'int64Param', value: BigInt(value) } as const;
      if (Number.isFinite(value)) return { case: 'doubleParam', value } as const;
      break;
    case 'bigint':
      if (value >= -INT64_MAX - 1n && value <= INT64_MAX) return { case: 'int64Param', value } as const;
      if (value > 0n && value <= 2n ** 64n - 1n) return { case: 'uint64Param', value } as const;
      break;
    default:
  }
  throw invalidField(at, 'must be true, false, a text or a number of at most 64 bits');
}

/** Parameters of an answer in JSON. */
export function parametersJson(
  parameters: Readonly<Record<string, InferParameter>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { parameterChoice }]) => [name, parameterChoice.value]),
  );
}
