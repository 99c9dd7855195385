import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addAnswer, answerModel, valueOfAnswer, type CascadeModel } from './answer-posterior.js';
import { runCascade } from './run-cascade.js';

const LABELS = 3;
const EDGES = [0.5];
const COLUMNS = LABELS * (EDGES.length + 1);

const distribution = (length: number) =>
  fc
    .array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: length, maxLength: length })
    .map((raw) => Float64Array.from(raw, (value) => value / raw.reduce((sum, item) => sum + item, 0)));
const service = fc
  .array(distribution(COLUMNS), { minLength: LABELS, maxLength: LABELS })
  .map((rows) => answerModel(EDGES, Float64Array.from(rows.flatMap((row) => [...row])), 1));
const cascade = fc
  .record({ prior: distribution(LABELS), services: fc.array(service, { minLength: 1, maxLength: 4 }) })
  .map((parts): CascadeModel => ({ labels: LABELS, ...parts }));
const answer = fc.record({
  label: fc.nat(LABELS - 1),
  confidence: fc.double({ min: 0, max: 1, noNaN: true }),
});
const rule = (lambda: number, services: number) => ({
  lambda,
  prices: Array.from({ length: services }, (_, at) => 1 + at),
});

describe('confidence cascades', () => {
  it('weigh what they were told as Bayes does', () => {
    fc.assert(
      fc.property(cascade, answer, (model, said) => {
        const posterior = addAnswer(model.prior, model, 0, said);
        const column = 2 * said.label + (said.confidence > 0.5 ? 1 : 0);
        const joint = Array.from(
          model.prior,
          (chance, y) => chance * model.services[0]!.likelihood[y * COLUMNS + column]!,
        );
        const total = joint.reduce((sum, value) => sum + value, 0);
        joint.forEach((value, y) => expect(posterior[y]).toBeCloseTo(value / total, 9));
      }),
    );
  });

  it('value an answer by the mean of what follows from it, and never below nothing', () => {
    fc.assert(
      fc.property(cascade, (model) => {
        const value = valueOfAnswer(model.prior, model, 0);
        let mean = 0;
        for (let label = 0; label < LABELS; label++)
          for (const confidence of [0.2, 0.9]) {
            const column = 2 * label + (confidence > 0.5 ? 1 : 0);
            const chance = Array.from(
              model.prior,
              (own, y) => own * model.services[0]!.likelihood[y * COLUMNS + column]!,
            ).reduce((sum, own) => sum + own, 0);
            mean += chance * Math.max(...addAnswer(model.prior, model, 0, { label, confidence }));
          }
        expect(value).toBeCloseTo(mean - Math.max(...model.prior), 9);
        expect(value).toBeGreaterThan(-1e-12);
      }),
    );
  });

  it('ask each service once at most, pay what was asked, and ask the cheapest alone when price is all', () => {
    fc.assert(
      fc.property(
        cascade,
        fc.array(answer, { minLength: 4, maxLength: 4 }),
        fc.double({ min: 0, max: 2, noNaN: true }),
        (model, said, lambda) => {
          const { prices } = rule(lambda, model.services.length);
          const outcome = runCascade(model, { prices, lambda }, (own) => said[own]!);
          expect(new Set(outcome.asked).size).toBe(outcome.asked.length);
          expect(outcome.asked.length).toBeGreaterThan(0);
          expect(outcome.price).toBe(outcome.asked.reduce((sum, own) => sum + prices[own]!, 0));
          expect(outcome.confidence).toBeGreaterThanOrEqual(1 / LABELS - 1e-12);
          const cheapest = runCascade(model, { prices, lambda: 1e6 }, (own) => said[own]!);
          expect(cheapest.asked).toEqual([0]);
        },
      ),
    );
  });
});
