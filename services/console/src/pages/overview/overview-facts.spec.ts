import { describe, expect, it } from 'vitest';
import { answeredText, chartSeconds, savedText } from './overview-facts.js';

describe('answeredText', () => {
  it('counts failures, not abstentions', () => {
    expect(answeredText({ requests: 200, errors: 1, abstained: 9 })).toEqual({
      value: '99.5 %',
      note: '1 failed, 9 abstained',
    });
    expect(answeredText({ requests: 0, errors: 0, abstained: 0 }).value).toBe('–');
  });
});

describe('savedText', () => {
  it('says how much and which share', () => {
    expect(savedText({ costUsd: 0.004, dearestUsd: 0.016 })).toEqual({
      value: '$0.012',
      note: '75 % less than always asking the dearest, $0.016',
    });
  });
  it('does not speak of a saving where there is none', () => {
    expect(savedText({ costUsd: 0.0066, dearestUsd: 0.0066 })).toEqual({
      value: '$0',
      note: 'the dearest was asked every time, $0.0066',
    });
  });
  it('says that nothing was priced', () => {
    expect(savedText({ costUsd: 0, dearestUsd: 0 }).value).toBe('–');
  });
});

describe('chartSeconds', () => {
  it('leaves a gap where nothing was answered', () => {
    const snapshot = {
      at: '2026-01-02T03:04:05.000Z',
      requestsPerSecond: 5,
      errorsPerSecond: 2,
      latencyMs: { p50: 0, p95: 0 },
      totals: { requests: 5, errors: 2, abstained: 0 },
      wins: [],
      costUsd: 0,
      dearestUsd: 0,
    };
    expect(chartSeconds([snapshot])[0]).toMatchObject({ answered: 3, failed: 2, p50: null, p95: null });
  });
});
