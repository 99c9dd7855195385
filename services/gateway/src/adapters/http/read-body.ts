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
        done(null, parse(body as Buffer));
      } catch (fault) {
        done(fault as Error);
      }
    },
  );
}

function parse(body: Buffer): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new ThalamusError('REQUEST_INVALID', 'The body is not UTF-8; send JSON encoded in UTF-8.');
  }
  if (text === '') throw new ThalamusError('REQUEST_INVALID', 'The body is empty; send a JSON object.');
  try {
    return JSON.parse(text) as unknown;
  } catch (fault) {
    // V8 quotes the input in its message; only the position may be told.
    const position = /position (\d+)/.exec((fault as Error).message)?.[1];
    const where = position === undefined ? '' : ` at character ${position}`;
    throw new ThalamusError('REQUEST_INVALID', `The body is not JSON: it breaks off or goes wrong${where}.`);
  }
}

/** Checks a body. @throws REQUEST_INVALID naming every faulty field; values are never quoted */
export function readBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const result = schema.safeParse(body ?? {}, { reportInput: false });
  if (result.success) return result.data;
  const violations = result.error.issues.flatMap((issue) => describe(issue));
  const listed = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new ThalamusError('REQUEST_INVALID', `The request is not valid. ${listed}.`, { violations });
}

function describe(issue: z.core.$ZodIssue): { field: string; description: string }[] {
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: path === '' ? key.slice(0, 64) : `${path}.${key.slice(0, 64)}`,
      description: 'is unknown',
    }));
  }
  if (issue.code === 'invalid_union') {
    const told = issue.errors.flat().find(({ code }) => code !== 'invalid_type');
    return [{ field: path || 'body', description: told?.message ?? 'must be a text or a list of texts' }];
  }
  return [{ field: path || 'body', description: issue.message }];
}
