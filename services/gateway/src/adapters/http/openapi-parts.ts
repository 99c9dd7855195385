import { HTTP_HEADERS } from '@thalamus/contracts';
import { ERROR_CODES, type ErrorCode } from '@thalamus/errors';
import { z } from 'zod';
import { EXAMPLES } from './openapi-examples.js';

/** What any request with a key can meet. */
export const GUARDED: readonly ErrorCode[] = ['KEY_INVALID', 'RATE_LIMITED', 'EXPERT_OVERLOADED', 'INTERNAL'];
/** What any request with a body can meet. */
export const WITH_BODY: readonly ErrorCode[] = [
  ...GUARDED,
  'REQUEST_INVALID',
  'REQUEST_TOO_LARGE',
  'MEDIA_TYPE_UNSUPPORTED',
];
/** What any request that asks another service can meet. */
export const CALLING: readonly ErrorCode[] = [
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'UPSTREAM_UNAVAILABLE',
  'UPSTREAM_ERROR',
];
/** What any request that is routed can meet. */
export const ROUTING: readonly ErrorCode[] = [...CALLING, 'FLAG_INVALID', 'ROUTER_MODEL_NOT_FOUND'];
/** What any request that an expert of the mesh runs can meet. */
export const RUNNING: readonly ErrorCode[] = [
  'EXPERT_NOT_FOUND',
  'PERMISSION_DENIED',
  'EXPERT_NOT_READY',
  'EXPERT_CRASHED',
  'INFERENCE_FAILED',
];

/** Headers that requests may have. */
export const PARAMETERS = {
  requestId: header(
    HTTP_HEADERS.requestId,
    'Id of the request, 1 to 128 of A-Z a-z 0-9 _ . : -; comes back in the header of the same name and in events. Default: a new one.',
    { type: 'string', pattern: '^[\\w.:-]{1,128}$' },
  ),
  timeout: header(
    HTTP_HEADERS.requestTimeoutMs,
    'Longest time that the caller waits, milliseconds. Default and ceiling: THALAMUS_REQUEST_TIMEOUT_MS.',
    { type: 'integer', minimum: 1 },
  ),
  chatTimeout: header(
    HTTP_HEADERS.requestTimeoutMs,
    'Longest time from the request to the last token, milliseconds. Default and ceiling: THALAMUS_CHAT_TIMEOUT_MS.',
    { type: 'integer', minimum: 1 },
  ),
  conversation: header(
    HTTP_HEADERS.conversation,
    'Conversation that the request is part of: while a release is live, one version answers all of it. Default: one for all requests of a key; for chat, one for each opening of the messages.',
    { type: 'string', pattern: '^[\\w.:-]{1,128}$' },
  ),
  flags: header(
    HTTP_HEADERS.flags,
    'Flags as text, such as "size=0.5, latency<100". Weaker than flags of the body, stronger than flags of the model name.',
    { type: 'string' },
  ),
};
const ANSWERED = {
  [HTTP_HEADERS.requestId]: text('Id of the request.'),
};
/** Headers of answers of an expert. */
export const EXPERT = {
  [HTTP_HEADERS.expert]: text('Who answered; several names when texts went to several experts.'),
  [HTTP_HEADERS.version]: text('The version that answered.'),
  [HTTP_HEADERS.channel]: text(
    'While a release of the expert is live: stable or candidate, both when texts went to both. Absent without one, and for a pinned version.',
  ),
};
/** Header of answers that the router decided on. */
export const DECISION = {
  [HTTP_HEADERS.decision]: text(
    'The router model that decided and what it predicts of the expert: zoo-router@1; loss=0.214; total=0.214. Absent when no one decided or several texts were sent.',
  ),
};

/** Header of answers to who asked for a composition. */
export const COMPOSITION = {
  [HTTP_HEADERS.composition]: text(
    'What became of the composition that was asked for: compose:a@2+b@1; answered=parents; reason=building. Absent when none was.',
  ),
};
/** Codes of compositions that cannot be made. */
export const COMPOSING: readonly ErrorCode[] = ['COMPOSITION_REFUSED', 'SIGNATURE_REFUSED'];

const WHOLE = 'application/json';
const EVENTS = 'text/event-stream';

/** One operation of the document. */
export interface Operation {
  readonly id: string;
  readonly summary: string;
  readonly body?: z.ZodType;
  readonly answer: z.ZodType;
  readonly status?: '200' | '201' | '202';
  /** What the events are when the answer is, or may be, a stream of them; `only` when it is never whole. */
  readonly events?: { readonly description: string; readonly only?: boolean };
  readonly errors: readonly ErrorCode[];
  /** Form of the failures; default: that of OpenAI. */
  readonly errorSchema?: 'Error' | 'OipError';
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly parameters?: readonly unknown[];
}

/** A POST operation with its body and examples. */
export function post(operation: Operation) {
  return { post: withBody(operation) };
}

/** A PUT operation with its body and examples. */
export function put(operation: Operation) {
  return { put: withBody(operation) };
}

/** A DELETE operation. */
export function remove(operation: Operation) {
  return { delete: common(operation) };
}

function withBody(operation: Operation) {
  const example = EXAMPLES[operation.id];
  const media = {
    schema: jsonSchema(operation.body ?? z.looseObject({}), 'input'),
    ...(example ? { examples: example } : {}),
  };
  return { ...common(operation), requestBody: { required: true, content: { [WHOLE]: media } } };
}

/** A GET operation. */
export function get(operation: Operation) {
  return { get: common(operation) };
}

/** The same without a key. */
export function open<T extends { readonly get: object }>(item: T) {
  return { ...item, get: { ...item.get, security: [] } };
}

function common(operation: Operation) {
  const { id, summary, status = '200', errors, errorSchema = 'Error', headers, parameters } = operation;
  const success = {
    description: 'The answer.',
    headers: { ...ANSWERED, ...headers },
    content: contentOf(operation),
  };
  return {
    operationId: id,
    summary,
    ...(parameters ? { parameters } : {}),
    responses: { [status]: success, ...failures(errors, errorSchema) },
  };
}

function contentOf({ answer, events }: Operation) {
  const stream = events && { schema: { type: 'string', description: events.description } };
  return {
    ...(events?.only ? {} : { [WHOLE]: { schema: jsonSchema(answer, 'output') } }),
    ...(stream ? { [EVENTS]: stream } : {}),
  };
}

/** Failures by HTTP status, each with the codes it stands for. */
function failures(codes: readonly ErrorCode[], schema: string) {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of [...new Set(codes)].sort()) {
    const { http } = ERROR_CODES[code];
    byStatus.set(http, [...(byStatus.get(http) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, listed]) => [
      String(status),
      {
        description: listed.map((code) => `\`${code}\`: ${ERROR_CODES[code].summary}`).join('\n'),
        content: { [WHOLE]: { schema: { $ref: `#/components/schemas/${schema}` } } },
      },
    ]),
  );
}

/** A part of the path. */
export function pathParameter(name: string, description: string) {
  return { name, in: 'path', required: true, schema: { type: 'string' }, description };
}

/** A field of the query, which may be left out. */
export function queryParameter(name: string, schema: object, description: string) {
  return { name, in: 'query', required: false, schema, description };
}

function header(name: string, description: string, schema: object) {
  return { name, in: 'header', required: false, description, schema };
}

function text(description: string) {
  return { description, schema: { type: 'string' } };
}

/** A schema as the document has it. */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output') {
  const document: Record<string, unknown> = { ...z.toJSONSchema(schema, { io }) };
  delete document['$schema'];
  return document;
}
