import { describe, expect, it } from 'vitest';
import { ERROR_CODES, isErrorCode } from './codes.js';
import { ThalamusError, toThalamusError } from './thalamus-error.js';

describe('the error table', () => {
  it('is sorted and names only complete sentences', () => {
    const codes = Object.keys(ERROR_CODES);
    expect(codes).toEqual([...codes].sort());
    for (const row of Object.values(ERROR_CODES)) expect(row.summary).toMatch(/^[A-Z].*\.$/);
  });

  it('never marks a caller mistake as retryable', () => {
    for (const row of Object.values(ERROR_CODES))
      if (row.grpc === 'INVALID_ARGUMENT') expect(row.retryable).toBe(false);
  });

  it('knows its own codes only', () => {
    expect(isErrorCode('INTERNAL')).toBe(true);
    expect(isErrorCode('toString')).toBe(false);
  });
});

describe('toThalamusError', () => {
  it('passes our own errors through, also from another copy of the package', () => {
    const foreign = Object.assign(new Error('x'), { [Symbol.for('thalamus.error')]: true });
    expect(toThalamusError(foreign)).toBe(foreign);
    const ours = new ThalamusError('JOB_NOT_FOUND', 'x');
    expect(toThalamusError(ours)).toBe(ours);
    expect(ours.spec.http).toBe(404);
  });

  it('maps abort and time-out, and hides the text of unknown faults', () => {
    expect(toThalamusError(new DOMException('gone', 'AbortError')).code).toBe('CANCELLED');
    expect(toThalamusError(new DOMException('late', 'TimeoutError')).code).toBe('DEADLINE_EXCEEDED');
    const hidden = toThalamusError(new Error('secret prompt'));
    expect(hidden.code).toBe('INTERNAL');
    expect(hidden.message).not.toContain('secret');
    expect((hidden.cause as Error).message).toBe('secret prompt');
  });
});
