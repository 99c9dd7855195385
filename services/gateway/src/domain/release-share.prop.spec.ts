import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ANONYMOUS } from './caller.js';
import { placeOf, subjectOf } from './release-share.js';

const SUBJECTS = 4_000;
const keys = Array.from({ length: SUBJECTS }, (_, index) => `key\nacme\nkey-${index}`);
const weight = fc.double({ min: 0, max: 1, noNaN: true });
const releaseId = fc.string({ minLength: 1, maxLength: 40 });
const caller = (id: string, tenant = 'acme') => ({ id, tenant, role: 'viewer' as const });

/** Widest distance of a share from its weight that chance allows: six standard deviations. */
const spread = (share: number) => 6 * Math.sqrt((share * (1 - share)) / SUBJECTS) + 1 / SUBJECTS;
const shareOf = (id: string, below: number) =>
  keys.filter((key) => placeOf(id, key) < below).length / SUBJECTS;

describe('who gets the candidate of a release', () => {
  it('is decided by a place that stays, from 0 to below 1', () => {
    fc.assert(
      fc.property(releaseId, fc.string(), (id, subject) => {
        const place = placeOf(id, subject);
        expect(place).toBe(placeOf(id, subject));
        expect(place >= 0 && place < 1).toBe(true);
      }),
    );
  });

  it('is the share that the weight says', () => {
    fc.assert(
      fc.property(releaseId, weight, (id, below) => {
        expect(Math.abs(shareOf(id, below) - below)).toBeLessThanOrEqual(spread(below));
      }),
      { numRuns: 40 },
    );
  });

  it('is nobody at 0 and everybody at 1', () => {
    expect([shareOf('r', 0), shareOf('r', 1)]).toEqual([0, 1]);
  });

  it('has nothing to do with who gets that of another release', () => {
    fc.assert(
      fc.property(releaseId, releaseId, (one, other) => {
        fc.pre(one !== other);
        const both = keys.filter((key) => placeOf(one, key) < 0.5 && placeOf(other, key) < 0.5).length;
        expect(Math.abs(both / SUBJECTS - 0.25)).toBeLessThanOrEqual(spread(0.25));
      }),
      { numRuns: 40 },
    );
  });
});

describe('whom a request counts for', () => {
  it('is its conversation, of whatever key, but never that of another tenant', () => {
    const scope = { caller: caller('k1'), requestId: 'r1', conversation: 'c' };
    expect(subjectOf(scope)).toBe(subjectOf({ ...scope, caller: caller('k2'), requestId: 'r2' }));
    expect(subjectOf(scope)).not.toBe(subjectOf({ ...scope, caller: caller('k1', 'globex') }));
    expect(subjectOf(scope)).not.toBe(subjectOf({ ...scope, conversation: 'd' }));
  });

  it('is its key without one', () => {
    const scope = { caller: caller('k1'), requestId: 'r1' };
    expect(subjectOf(scope)).toBe(subjectOf({ ...scope, requestId: 'r2' }));
    expect(subjectOf(scope)).not.toBe(subjectOf({ ...scope, caller: caller('k2') }));
    expect(subjectOf(scope)).not.toBe(subjectOf({ ...scope, conversation: 'k1' }));
  });

  it('is itself, with all its texts, when nobody knows whose it is', () => {
    const scope = { caller: caller(ANONYMOUS), requestId: 'r1' };
    expect(subjectOf({ ...scope, requestId: 'r1/7' })).toBe(subjectOf(scope));
    expect(subjectOf({ ...scope, requestId: 'r2' })).not.toBe(subjectOf(scope));
  });
});
