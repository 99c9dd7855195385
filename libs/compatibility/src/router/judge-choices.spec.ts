import { describe, expect, it } from 'vitest';
import { defaultGate } from '../gate/default-gate.js';
import { parseGate } from '../gate/parse-gate.js';
import { compareChoices } from './compare-choices.js';
import { defaultRouterGate } from './default-router-gate.js';
import { judgeChoices } from './judge-choices.js';
import type { RoutedPrompt } from './routed-prompt.js';
import { parseRouterReport } from './router-report.js';
import { routerReport, type ReportFacts } from './write-report.js';

const DIGEST = `sha256:${'0'.repeat(64)}`;
const OPTIONS = { tolerance: 0.05, seed: 1, resamples: 200 };

/** Prompts on which the first expert is right; `to` says where the new router sends one, and whether that is right. */
function prompts(n: number, to: (at: number) => { readonly expert: string; readonly loss: number }) {
  return Array.from({ length: n }, (_, at): RoutedPrompt => {
    const { expert, loss } = to(at);
    return {
      ...{ id: `p${at}`, choiceBefore: 'adder', choiceAfter: expert, lossBefore: 0, lossAfter: loss },
      ...{
        best: 'adder',
        leastLoss: 0,
        slices: [`domain=${at % 10 === 0 ? 'law' : 'sums'}`, 'expert=adder'],
      },
    };
  });
}

const same = () => ({ expert: 'adder', loss: 0 });
const judged = (rows: readonly RoutedPrompt[], gate = defaultRouterGate()) =>
  judgeChoices(gate, compareChoices(rows, OPTIONS));

describe('the figures of two router models', () => {
  it('are those that can be counted by hand', () => {
    const rows = prompts(400, (at) =>
      at % 4 === 0 ? { expert: 'atlas', loss: at % 8 === 0 ? 1 : 0.04 } : same(),
    );
    const { overall, slices, flips } = compareChoices(rows, { ...OPTIONS, resamples: 2000 });
    expect(overall.changed).toMatchObject({ count: 100, value: 0.25 });
    // 50 lose 1, and 50 lose 0.04, which is within the tolerance.
    expect(overall.worse).toMatchObject({ count: 50 });
    expect(flips.overall.negativeFlips).toMatchObject({ count: 50, value: 0.125 });
    expect(overall.lossDifference.mean).toBeCloseTo(0.13, 12);
    expect(overall.regretAfter.mean).toBeCloseTo(0.13, 12);
    // A mean of draws of 400 has the deviation sqrt(0.1082) / 20.
    expect(overall.lossDifference.high - overall.lossDifference.low).toBeCloseTo(2 * 1.96 * 0.01653, 2);
    expect(slices.map(({ slice, n }) => [slice, n])).toEqual([
      ['expert=adder', 400],
      ['domain=sums', 360],
      ['domain=law', 40],
    ]);
    expect(flips.items).toHaveLength(50);
    expect(flips.items[0]).toMatchObject({ label: 'adder', oldPrediction: 'adder', newPrediction: 'atlas' });
  });

  it('draw the prompts of a document together', () => {
    const lost = (at: number) => ({ expert: 'atlas', loss: Math.floor(at / 50) % 2 });
    const alone = compareChoices(prompts(400, lost), OPTIONS).overall.lossDifference;
    const grouped = prompts(400, lost).map((row, at) => ({ ...row, group: `d${Math.floor(at / 50)}` }));
    const together = compareChoices(grouped, OPTIONS).overall.lossDifference;
    expect(together.high - together.low).toBeGreaterThan(4 * (alone.high - alone.low));
  });

  it('are refused without prompts, and for a loss below the least', () => {
    expect(() => compareChoices([], OPTIONS)).toThrow('there are no prompts');
    const odd = prompts(1, () => ({ expert: 'atlas', loss: -1 }));
    expect(() => compareChoices(odd, OPTIONS)).toThrow('none is below the least');
  });
});

describe('the default gate of router models', () => {
  it.each([
    ['nothing changes', prompts(400, same), 'compatible', []],
    [
      'too few prompts',
      prompts(100, same),
      'inconclusive',
      ['no-more-loss', 'few-negative-flips', 'few-changed-choices'],
    ],
    [
      'all is lost',
      prompts(400, () => ({ expert: 'atlas', loss: 1 })),
      'incompatible',
      ['no-more-loss', 'few-negative-flips', 'no-broken-slice', 'few-changed-choices'],
    ],
    [
      'one kind of prompt is lost',
      prompts(2000, (at) => (at % 40 === 0 ? { expert: 'atlas', loss: 0.06 } : same())),
      'incompatible',
      ['no-broken-slice'],
    ],
    [
      'most prompts go elsewhere, to an expert that is as good',
      prompts(400, (at) => (at % 10 < 7 ? { expert: 'atlas', loss: 0 } : same())),
      'incompatible',
      ['few-changed-choices'],
    ],
  ])('%s', (_, rows, verdict, rules) => {
    const { verdict: found, result } = judged(rows);
    const broken = result.rules.filter(({ status }) => status !== 'passed').map(({ rule }) => rule);
    expect([found, broken]).toEqual([verdict, rules]);
  });

  it('says the figures that it judges, and another gate asks for people', () => {
    const rows = prompts(400, (at) => (at % 4 === 0 ? { expert: 'atlas', loss: 0 } : same()));
    const gate = parseGate(
      `{ version: 1, name: mine, rules: [
        { name: few, measure: changedChoices, data: router, threshold: 0.25, approvals: 1 },
        { name: live, measure: errorRate, data: canary, threshold: 0.01 } ] }`,
      'mine',
    );
    const { result } = judged(rows, gate);
    expect(result).toMatchObject({ status: 'inconclusive', pending: ['live'] });
    expect(result.rules[0]).toMatchObject({ value: 0.25, n: 400 });
    expect(judgeChoices(gate, compareChoices(rows, OPTIONS), ['ada']).verdict).toBe('compatible');
  });

  it('is not that of experts, which has no rule about router models', () => {
    expect(() => judged(prompts(400, same), defaultGate())).toThrow('has no rule with data: router');
  });
});

describe('a report', () => {
  const model = (version: string) => ({ name: 'chooser', version, digest: DIGEST });
  const written = (rows = prompts(400, (at) => (at % 4 === 0 ? { expert: 'atlas', loss: 1 } : same()))) => {
    const comparison = compareChoices(rows, OPTIONS);
    const facts: ReportFacts = {
      ...{ task: 'text-generation', before: model('1'), after: model('2'), gateDigest: DIGEST, items: 3 },
      ...{ table: { set: 'made', digest: DIGEST, split: 'test', leftOut: 0 }, lossUnit: 'error' },
      ...{ tolerance: 0.05, approvals: [], notes: ['a note'] },
    };
    return routerReport(facts, comparison, judgeChoices(defaultRouterGate(), comparison));
  };

  it('is read as it was written, with the figures that gates name', () => {
    const report = written();
    expect(parseRouterReport(JSON.stringify(report), 'c.json')).toEqual(report);
    expect(report).toMatchObject({
      verdict: 'incompatible',
      n: 400,
      changedChoices: 0.25,
      nfr: 0.25,
      rightBefore: 1,
    });
    expect(report.flipped).toHaveLength(3);
    expect(report.intervals['lossDifference']!.low).toBeLessThan(0.25);
  });

  it.each([
    [(own: object) => ({ ...own, verdict: 'compatible' }), 'its rules come to "failed"'],
    [
      (own: object) => ({ ...own, gate: { gate: 'g', status: 'passed', rules: [], pending: [] } }),
      'gate.rules',
    ],
    [(own: object) => ({ ...own, prompts: ['text'] }), 'Unrecognized key'],
    [
      (own: object) => ({ ...own, after: { ...model('2'), digest: 'sha256:1' } }),
      'after.digest: must be sha256',
    ],
  ])('that was changed is refused (%#)', (change, message) => {
    expect(() => parseRouterReport(JSON.stringify(change(written())), 'c.json')).toThrow(message);
    expect(() => parseRouterReport('no', 'c.json')).toThrow('c.json is not JSON');
  });

  it('that no rule about router models judged is refused', () => {
    const report = written(prompts(400, same));
    const rules = report.gate.rules.map((rule) => ({ ...rule, data: 'offline' }));
    const other = JSON.stringify({ ...report, gate: { ...report.gate, rules } });
    expect(() => parseRouterReport(other, 'c.json')).toThrow('judged by no rule about router models');
  });
});
