import type { JsonObject } from '@bufbuild/protobuf';
import { ThalamusError } from '@thalamus/errors';

/** What a job will read. */
export interface JobPlan {
  /** Parameters with every default filled in. */
  readonly parameters: JsonObject;
  readonly inputs: readonly { readonly name: string; readonly digest: string }[];
}

/** The refusal of a request for one of its fields. */
export function invalid(field: string, description: string): ThalamusError {
  return new ThalamusError('REQUEST_INVALID', `${field}: ${description}.`, {
    violations: [{ field, description }],
  });
}

/** Plain JSON: what is undefined is left out. */
export function json(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}
