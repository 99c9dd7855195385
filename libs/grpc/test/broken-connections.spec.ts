import { Metadata, status as Code, type ServiceError } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { fromGrpcError } from '../src/index.js';

function foreign(code: Code, details: string): ServiceError {
  return Object.assign(new Error(details), { code, details, metadata: new Metadata() });
}

describe('a connection that ended in mid-call', () => {
  it.each([
    [Code.UNAVAILABLE, 'Connection dropped'],
    [Code.UNAVAILABLE, 'read ECONNRESET'],
    [Code.INTERNAL, 'Received RST_STREAM with code 0 (Call ended without gRPC status)'],
    [Code.INTERNAL, 'Received RST_STREAM with code 2 triggered by internal client error: write EPIPE'],
  ])('is a service that is not there: %s %s', (code, details) => {
    const error = fromGrpcError(foreign(code, details), 'Stat');
    expect(error.code).toBe('UPSTREAM_UNAVAILABLE');
    expect(error.message).toContain(details);
  });

  it.each([
    [Code.INTERNAL, 'Received RST_STREAM with code 2 (Internal server error)'],
    [Code.INTERNAL, 'Received RST_STREAM with code 2 triggered by internal client error: Protocol error'],
    [Code.UNKNOWN, 'Received RST_STREAM with code 0 (Call ended without gRPC status)'],
    [Code.INTERNAL, 'the prompt was: Received RST_STREAM with code 0 (Call ended without gRPC status)'],
  ])('is not what a foreign server says: %s %s', (code, details) => {
    const error = fromGrpcError(foreign(code, details), 'Stat');
    expect(error.code).toBe('UPSTREAM_ERROR');
    expect(error.message).not.toContain(details);
  });
});
