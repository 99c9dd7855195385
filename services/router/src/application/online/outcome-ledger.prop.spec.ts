import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { eventsV1, TOPICS } from '@thalamus/contracts';
import { decodeEvent } from '@thalamus/events';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { OutcomeLedger } from './outcome-ledger.js';
import type { DecidedRequest, GivenScore } from './outcome-window.js';

const NOW_MS = 1_000_000;
const TENANTS = ['acme', 'globex'] as const;
const SETTINGS = {
  // Nothing is forgotten: the weight is the number of outcomes that were folded in.
  correction: { priorWeight: 20, bound: 0.25, halfLifeMs: 1e15, memory: 1e15 },
  drift: { tolerance: 0.05, runLength: 20_000 },
  window: { capacity: 1_000, ageMs: 3_600_000 },
};
const judge = {
  unitOf: () => 'error' as const,
  run: (request: DecidedRequest, { score, atMs }: Pick<GivenScore, 'score' | 'atMs'>) => ({
    kind: 'counts' as const,
    outcome: { ...request, unit: 'error' as const, observed: 1 - score, atMs },
  }),
};

/** Two topics of one partition each, what is written, and the corrector of now, which may die at any moment. */
class Simulation {
  readonly requests: string[] = [];
  readonly feedback: { readonly id: string; readonly score: number }[] = [];
  private readonly written = new Map<string, eventsV1.RouteCorrection>();
  private ledger!: OutcomeLedger;
  private nextRequest = 0;
  private nextFeedback = 0;

  constructor() {
    this.elect();
  }

  /** Another corrector goes on from what is written; feedback comes again from where it was folded in last. */
  elect(): void {
    this.ledger = new OutcomeLedger({ judge, settings: SETTINGS }, this.written);
    const [folded] = this.written.get('/folded')?.folded ?? [];
    this.nextFeedback = Number(folded?.nextOffset ?? 0n);
    this.nextRequest = 0;
    while (this.nextRequest < this.requests.length) this.readRequest();
    for (let at = 0; at < this.nextFeedback; at++) this.ledger.readBefore(this.feedbackAt(at));
    this.ledger.book.begins();
  }

  readRequest(): void {
    const id = this.requests[this.nextRequest];
    if (id === undefined) return;
    const [tenant = '', requestId] = id.split('/');
    const event = create(eventsV1.RequestCompletedSchema, {
      requestId: requestId ?? '',
      tenant,
      expert: 'good',
      version: '1',
      channel: 'stable',
      routed: true,
      candidates: [{ expert: 'good', predictedLoss: 0.25 }],
      completedAt: timestampFromMs(NOW_MS),
    });
    this.ledger.completed(event, recordAt(this.nextRequest));
    this.nextRequest += 1;
  }

  readFeedback(): void {
    if (this.nextFeedback >= this.feedback.length) return;
    this.ledger.given(this.feedbackAt(this.nextFeedback));
    this.nextFeedback += 1;
  }

  write(): void {
    for (const record of this.ledger.book.takeUnwritten()) {
      const value = decodeEvent(TOPICS.routeCorrection, record);
      if (value) this.written.set(record.key, value);
    }
  }

  /** Reads all, writes all; returns how many outcomes were folded in, and the sum of their residuals. */
  settle(): { weight: number; residualSum: number } {
    while (this.nextRequest < this.requests.length) this.readRequest();
    while (this.nextFeedback < this.feedback.length) this.readFeedback();
    this.write();
    const { weight = 0, residualSum = 0 } = this.written.get('good/0') ?? {};
    return { weight, residualSum };
  }

  private feedbackAt(at: number) {
    const { id, score } = this.feedback[at] ?? { id: '', score: 0 };
    const [tenant = '', requestId = ''] = id.split('/');
    return { tenant, requestId, score, atMs: NOW_MS, record: recordAt(at) };
  }
}

function recordAt(offset: number) {
  return { partition: 0, offset: BigInt(offset), timestampMs: NOW_MS };
}

const id = fc
  .tuple(fc.constantFrom(...TENANTS), fc.nat({ max: 3 }))
  .map(([tenant, at]) => `${tenant}/r${at}`);
const step = fc.oneof(
  fc.record({ kind: fc.constant('request' as const), id }),
  fc.record({ kind: fc.constant('feedback' as const), id, score: fc.constantFrom(0, 0.25, 0.5, 1) }),
  fc.record({ kind: fc.constantFrom('read request', 'read feedback', 'write', 'elect') }),
);

it('each request is judged once, by the first feedback of its tenant, in any order and through any deaths', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const simulation = new Simulation();
      for (const at of steps) {
        // The event of a request may come again, too.
        if (at.kind === 'request' && 'id' in at) simulation.requests.push(at.id);
        else if (at.kind === 'feedback' && 'score' in at) simulation.feedback.push(at);
        else if (at.kind === 'read request') simulation.readRequest();
        else if (at.kind === 'read feedback') simulation.readFeedback();
        else if (at.kind === 'write') simulation.write();
        else simulation.elect();
      }
      const { weight, residualSum } = simulation.settle();
      const judged = [...new Set(simulation.requests)].flatMap((asked) => {
        const first = simulation.feedback.find((given) => given.id === asked);
        return first ? [1 - first.score - 0.25] : [];
      });
      expect(weight).toBeCloseTo(judged.length, 6);
      expect(residualSum).toBeCloseTo(
        judged.reduce((sum, residual) => sum + residual, 0),
        6,
      );
    }),
    { numRuns: 500, seed: 20_260_301 },
  );
});
