import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { eventsV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { LiveBoard } from './live-board.js';

const event = (fields: MessageInitShape<typeof eventsV1.RequestCompletedSchema>) =>
  create(eventsV1.RequestCompletedSchema, { expert: 'a', ...fields });
const at = new Date('2026-01-01T00:00:01Z');

describe('LiveBoard', () => {
  it('counts a second and keeps totals', () => {
    const board = new LiveBoard(() => undefined);
    board.add(event({ timingsMs: { total: 10 } }));
    board.add(event({ timingsMs: { total: 30 } }));
    board.add(event({ errorCode: 'EXPERT_NOT_READY', expert: '' }));
    const first = board.tick(at);
    expect(first).toMatchObject({
      at: '2026-01-01T00:00:01.000Z',
      requestsPerSecond: 3,
      errorsPerSecond: 1,
      latencyMs: { p50: 10, p95: 30 },
      totals: { requests: 3, errors: 1, abstained: 0 },
      wins: [{ expert: 'a', count: 2 }],
    });
    expect(board.tick(at)).toMatchObject({ requestsPerSecond: 0, totals: { requests: 3 } });
  });

  it('forgets latencies after thirty seconds, not before', () => {
    const board = new LiveBoard(() => undefined);
    board.add(event({ timingsMs: { total: 8 } }));
    const seen = Array.from({ length: 31 }, () => board.tick(at).latencyMs.p50);
    expect(seen.slice(0, 30)).toEqual(Array.from({ length: 30 }, () => 8));
    expect(seen[30]).toBe(0);
  });

  it('compares what was paid with the dearest candidate, for priced experts only', () => {
    const prices = new Map([
      ['cheap', { input: 1, output: 2 }],
      ['dear', { input: 10, output: 30 }],
    ]);
    const board = new LiveBoard((expert) => prices.get(expert));
    const candidates = ['cheap', 'dear'].map((expert) => ({ expert, predictedLoss: 0, total: 0 }));
    board.add(
      create(eventsV1.RequestCompletedSchema, {
        expert: 'cheap',
        inputTokens: 1_000,
        outputTokens: 500,
        candidates,
      }),
    );
    board.add(event({ expert: 'local', inputTokens: 1_000, outputTokens: 500 }));
    const { costUsd, dearestUsd } = board.tick(at);
    expect(costUsd).toBeCloseTo(0.002, 12);
    expect(dearestUsd).toBeCloseTo(0.025, 12);
  });
});
