import { create, fromBinary, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { anyPack, anyUnpack, type Any } from '@bufbuild/protobuf/wkt';
import { Metadata, status as Code, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { RPC_METADATA, rpcDetails, rpcStatus } from '@thalamus/contracts';
import {
  isErrorCode,
  ThalamusError,
  toThalamusError,
  type ErrorCode,
  type FieldViolation,
} from '@thalamus/errors';

/** Domain of our ErrorInfo details. */
export const ERROR_DOMAIN = 'thalamus';

/** Most UTF-16 units of a message, of a name or value in its details, and of all violations together. */
const MOST = { message: 1_024, value: 256, violations: 2_048 };

/**
 * Turns any fault into a gRPC status with google.rpc.Status details: ErrorInfo (reason = our code), RetryInfo when a
 * time is known, BadRequest when fields are at fault. Unknown faults become INTERNAL with a fixed text. Texts that may quote
 * a request are cut: a status travels in trailers, and trailers that are too large end the connection for all its callers.
 */
export function toGrpcStatus(fault: unknown): StatusObject {
  const error = toThalamusError(fault);
  const code = Code[error.spec.grpc];
  const message = clipped(error.message, MOST.message);
  const metadata = new Metadata();
  const bytes = toBinary(
    rpcStatus.StatusSchema,
    create(rpcStatus.StatusSchema, { code, message, details: detailsOf(error) }),
  );
  metadata.set(RPC_METADATA.statusDetails, Buffer.from(bytes));
  return { code, details: message, metadata };
}

function detailsOf(error: ThalamusError): Any[] {
  const details = [
    anyPack(
      rpcDetails.ErrorInfoSchema,
      create(rpcDetails.ErrorInfoSchema, {
        reason: error.code,
        domain: ERROR_DOMAIN,
        metadata: clippedMetadata(error.metadata),
      }),
    ),
  ];
  if (error.retryAfterMs !== undefined) {
    const seconds = Math.floor(error.retryAfterMs / 1000);
    const retryDelay = {
      seconds: BigInt(seconds),
      nanos: Math.round((error.retryAfterMs - seconds * 1000) * 1e6),
    };
    details.push(anyPack(rpcDetails.RetryInfoSchema, create(rpcDetails.RetryInfoSchema, { retryDelay })));
  }
  if (error.violations.length > 0) {
    const fieldViolations = clippedViolations(error.violations);
    details.push(
      anyPack(rpcDetails.BadRequestSchema, create(rpcDetails.BadRequestSchema, { fieldViolations })),
    );
  }
  return details;
}

function clippedMetadata(metadata: ThalamusError['metadata']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [name, clipped(value, MOST.value)]),
  );
}

/** As many of the first ones as there is room for; always one. */
function clippedViolations(violations: readonly FieldViolation[]): FieldViolation[] {
  const kept: FieldViolation[] = [];
  let length = 0;
  for (const violation of violations) {
    const field = clipped(violation.field, MOST.value);
    const description = clipped(violation.description, MOST.value);
    length += field.length + description.length;
    if (kept.length > 0 && length > MOST.violations) break;
    kept.push({ field, description });
  }
  return kept;
}

/** A text of at most so many units, its end replaced by an ellipsis; never half of a pair. */
function clipped(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** Statuses that grpc-js makes itself when a call does not come to its end, with what they mean here. */
const FOREIGN: Partial<Record<Code, ErrorCode>> = {
  [Code.CANCELLED]: 'CANCELLED',
  [Code.DEADLINE_EXCEEDED]: 'DEADLINE_EXCEEDED',
  [Code.UNAVAILABLE]: 'UPSTREAM_UNAVAILABLE',
  [Code.UNIMPLEMENTED]: 'METHOD_UNSUPPORTED',
};

/**
 * What grpc-js says with INTERNAL where a connection ended in mid-call, as at the death of a server: by how far it had come, it says so, or
 * that it is unavailable.
 */
const BROKEN_OFF =
  /^Received RST_STREAM with code \d+ (\(Call ended without gRPC status\)|triggered by internal client error: \w+ E[A-Z]+)$/;

/** What grpc-js says on either side of a message over the limit. */
const TOO_LARGE = /message .*larger than/i;

/**
 * Turns the error of a call back into the one the server threw. A status that is not ours gets a code by its kind; its text
 * is passed on only where it comes from the transport, since a foreign server may quote the request in it.
 */
export function fromGrpcError(fault: unknown, target: string): ThalamusError {
  if (ThalamusError.is(fault)) return fault;
  const error = fault as Partial<ServiceError>;
  if (typeof error.code !== 'number') return toThalamusError(fault);
  const text = error.details ?? '';
  const ours = readDetails(error.metadata, text);
  if (ours) return ours;
  const name = Code[error.code] as string | undefined;
  if (error.code === Code.RESOURCE_EXHAUSTED && TOO_LARGE.test(text)) {
    return new ThalamusError('REQUEST_TOO_LARGE', `A message of ${target} is over the limit: ${text}.`, {
      cause: fault,
    });
  }
  const isBrokenOff = error.code === Code.INTERNAL && BROKEN_OFF.test(text);
  const code = isBrokenOff ? 'UPSTREAM_UNAVAILABLE' : (FOREIGN[error.code] ?? 'UPSTREAM_ERROR');
  const told = code === 'UPSTREAM_ERROR' || text === '' ? '' : `: ${tidy(text)}`;
  const cure = code === 'UPSTREAM_UNAVAILABLE' ? '; see that its service runs, and try again' : '';
  return new ThalamusError(code, `${target} answered ${name ?? `status ${error.code}`}${told}${cure}.`, {
    cause: fault,
  });
}

/** What grpc-js says of a connection without how it balances, and without notes that are empty. */
function tidy(text: string): string {
  return text.replace(/^(round_robin|pick_first): /, '').replace(/\.?\s*Resolution note:\s*$/, '');
}

function readDetails(metadata: Metadata | undefined, message: string): ThalamusError | undefined {
  const raw = metadata?.get(RPC_METADATA.statusDetails)[0];
  if (!(raw instanceof Uint8Array)) return undefined;
  try {
    const status = fromBinary(rpcStatus.StatusSchema, raw);
    const info = find(status.details, rpcDetails.ErrorInfoSchema);
    if (info?.domain !== ERROR_DOMAIN || !isErrorCode(info.reason)) return undefined;
    const retry = find(status.details, rpcDetails.RetryInfoSchema)?.retryDelay;
    const violations: FieldViolation[] =
      find(status.details, rpcDetails.BadRequestSchema)?.fieldViolations ?? [];
    return new ThalamusError(info.reason, status.message || message, {
      metadata: info.metadata,
      violations,
      ...(retry ? { retryAfterMs: Number(retry.seconds) * 1000 + retry.nanos / 1e6 } : {}),
    });
  } catch {
    return undefined;
  }
}

function find<S extends DescMessage>(details: readonly Any[], schema: S): MessageShape<S> | undefined {
  for (const detail of details) {
    const message = anyUnpack(detail, schema);
    if (message !== undefined) return message;
  }
  return undefined;
}
