import { readJsonObject } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';

/** Takes JSON bodies in UTF-8 and nothing else; what is wrong with a body is said with our codes. */
export function acceptJson(server: FastifyInstance, maxBodyBytes: number): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: maxBodyBytes },
    (_request, body, done) => {
      try {
        done(null, readJsonObject(body as Buffer));
      } catch (fault) {
        done(fault as Error);
      }
    },
  );
}

/** Checks a body. @throws REQUEST_INVALID naming every faulty field; values are never quoted */
export function readBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const result = schema.safeParse(body ?? {}, { reportInput: false });
  if (result.success) return result.data;
  const violations = result.error.issues.flatMap((issue) => describe(issue, []));
  const listed = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new ThalamusError('REQUEST_INVALID', `The request is not valid. ${listed}.`, { violations });
}

function describe(
  issue: z.core.$ZodIssue,
  above: readonly PropertyKey[],
): { field: string; description: string }[] {
  const path = [...above, ...issue.path];
  const field = path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: [...path, key.slice(0, 64)].map(String).join('.'),
      description: 'is unknown',
    }));
  }
  if (issue.code === 'invalid_union') {
    // The branch that the value was meant for is the one whose own type it has.
    const meant = issue.errors.find((branch) =>
      branch.some(({ code, path: at }) => code !== 'invalid_type' || at.length > 0),
    );
    if (meant) return meant.flatMap((inner) => describe(inner, path));
  }
  return [{ field: field || 'body', description: issue.message }];
}
