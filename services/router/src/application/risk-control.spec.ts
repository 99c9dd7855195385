import type { CertifiedRule, RiskPlan, RiskRows } from '@thalamus/routing';
import { describe, expect, it } from 'vitest';
import { RiskControl } from './risk-control.js';

/** Two experts, of which the cheaper loses a tenth more on each row. */
const ROWS = 200;
const losses = Float32Array.from({ length: 2 * ROWS }, (_, at) => (at % 2 === 0 ? 0.2 : 0.1));
const rows: RiskRows = { predicted: losses, measured: losses, candidates: 2, bound: 1 };
const plan: RiskPlan = {
  cheapestFirst: [0, 1],
  costs: new Float64Array([0.1, 1]),
  experts: ['cheap', 'good'],
  saves: 'cost',
  key: '0:0.1,1:1',
};
const signal = new AbortController().signal;
const make = () => {
  const control = new RiskControl(rows);
  return (tenant: string, alpha: number): Promise<CertifiedRule> =>
    control.ruleFor({ tenant, plan, target: { alpha, delta: 0.1 } }, signal);
};
/** Bounds that nobody asked for before, 0.2 and above. */
const fresh = (count: number, from = 0) =>
  Array.from({ length: count }, (_, at) => 0.2 + (from + at) / 10_000);

describe('rules that keep bounds on the risk', () => {
  it('are made by turns: who asks for many waits for them, not others', async () => {
    const ask = make();
    const order: string[] = [];
    const asked = (tenant: string, alpha: number) => ask(tenant, alpha).then(() => order.push(tenant));
    const all = [...fresh(8).map((alpha) => asked('many', alpha)), asked('few', 0.5), asked('other', 0.6)];
    await Promise.all(all);
    expect(order.indexOf('few')).toBeLessThan(3);
    expect(order.indexOf('other')).toBeLessThan(4);
    expect(order.length).toBe(10);
  });

  it('of one tenant are bounded, with an error that says what to do; those of others are taken', async () => {
    const ask = make();
    const first = fresh(8).map((alpha) => ask('many', alpha));
    await expect(ask('many', 0.9)).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      retryAfterMs: 1_000,
      message: expect.stringMatching(
        /tenant many.*try again in a moment, or ask for one that was asked for/,
      ) as unknown,
    });
    // The same one again is no further one, whoever asks.
    const again = [ask('many', 0.2), ask('few', 0.2), ask('few', 0.9)];
    const rules = await Promise.all([...first, ...again]);
    expect(rules.length).toBe(11);
    expect(rules[8]).toBe(rules[0]);
    expect(rules[9]).toBe(rules[0]);
    expect((await ask('many', 0.9)).alpha).toBe(0.9);
  });

  it('of all tenants are bounded, too', async () => {
    const ask = make();
    const all = Array.from({ length: 8 }, (_, tenant) =>
      fresh(8, 8 * tenant).map((alpha) => ask(String(tenant), alpha)),
    ).flat();
    await expect(ask('late', 0.9)).rejects.toMatchObject({ code: 'EXPERT_OVERLOADED' });
    expect((await Promise.all(all)).length).toBe(64);
    expect((await ask('late', 0.9)).alpha).toBe(0.9);
  });

  it('are kept although another tenant asks for ever new ones', async () => {
    const ask = make();
    const kept = await ask('few', 0.5);
    for (const alpha of fresh(300)) await ask('many', alpha);
    expect(await ask('few', 0.5)).toBe(kept);
  });

  it('of a bound that is none are refused, and hold up nobody', async () => {
    const ask = make();
    await expect(ask('few', 2)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    expect((await ask('few', 0.5)).alpha).toBe(0.5);
  });
});
