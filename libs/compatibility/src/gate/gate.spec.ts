import { ThalamusError } from '@thalamus/errors';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareVersions } from '../compare-versions.js';
import type { Comparison } from '../compare-pairs.js';
import { DEFAULT_GATE_TEXT, defaultGate } from './default-gate.js';
import { evaluateGate } from './evaluate-gate.js';
import type { GateEvidence } from './gate-evidence.js';
import { GateWatch } from './gate-watch.js';
import { MEASURES } from './measures.js';
import { parseGate } from './parse-gate.js';

const HEAD = 'version: 1\nname: mine\nrules:\n';
const rule = (fields: string) => `  - { name: one, data: offline, ${fields} }\n`;
const gate = (...rules: readonly string[]) =>
  parseGate(HEAD + rules.map((own, at) => rule(own).replace('one', `r${at}`)).join(''), 'gate.yaml');

/** A comparison of `n` right items of each slice, of which some flip. */
function comparison(
  slices: Readonly<Record<string, readonly [n: number, lost: number, won?: number]>>,
): Comparison {
  const rows = Object.entries(slices).flatMap(([slice, [n, lost, won = 0]]) =>
    Array.from({ length: n }, (_, at) => ({
      id: `${slice}-${at}`,
      label: 'a',
      slices: [slice],
      old: at >= n - won ? 'b' : 'a',
      own: at < lost ? 'b' : 'a',
    })),
  );
  const answers = (which: 'old' | 'own') => rows.map((row) => ({ ...row, prediction: row[which] }));
  return compareVersions(answers('old'), answers('own'), 0.01);
}

const judged = (rules: readonly string[], evidence: GateEvidence) => {
  const { status, rules: results } = evaluateGate(gate(...rules), evidence);
  return [status, ...results.map((own) => own.status)];
};
const offline = (own: Comparison): GateEvidence => ({ comparisons: { offline: own } });

function faultOf(text: string): string {
  try {
    parseGate(text, 'gate.yaml');
  } catch (error) {
    if (ThalamusError.is(error) && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('parseGate', () => {
  it('reads YAML and JSON alike, with defaults', () => {
    const yaml = gate('measure: nfr, threshold: 0.02');
    expect(yaml.rules[0]).toEqual({
      name: 'r0',
      measure: 'nfr',
      slice: 'all',
      threshold: 0.02,
      data: 'offline',
      proof: 'safe',
      minimumSamples: 0,
      approvals: 0,
    });
    expect(parseGate(JSON.stringify(yaml), 'gate.json')).toEqual(yaml);
  });

  it.each([
    [
      `${HEAD}${rule('measure: nfr, threshold: 0.1, treshold: 1')}`,
      'rules.0.treshold (line 4) is not a known field',
    ],
    [`${HEAD}${rule('measure: nfr, threshold: 0.1')}owner: me\n`, 'owner (line 5) is not a known field'],
    [
      `${HEAD}  - name: a\n    data: offline\n    measure: speed\n    threshold: 1\n`,
      'rules.0.measure (line 6)',
    ],
    [`${HEAD}${rule('measure: nfr')}`, 'rules.0.threshold (line 4)'],
    [
      `${HEAD}${rule('measure: nfr, threshold: 2')}`,
      'rules.0.threshold (line 4) must be a share from 0 to 1',
    ],
    [
      `${HEAD}${rule('measure: memoryRatio, slice: each, threshold: 2')}`,
      'rules.0.slice (line 4) is for nfr,',
    ],
    [
      `${HEAD}${rule('measure: nfr, threshold: 0.1')}${rule('measure: btc, threshold: 0.9')}`,
      'rules.1.name (line 5) is the name of a rule before',
    ],
    [`${HEAD}${rule('measure: nfr, threshold: 0.1, level: 1')}`, 'rules.0.level (line 4)'],
    ['version: 2\nname: a\nrules: []\n', 'version (line 1)'],
    ['a: [', '(line 1) is no YAML'],
    ['', 'gate is empty; "thalamus release gate show" prints one'],
    ['# rules', 'gate is empty'],
  ])('refuses %j with line and field', (text, message) => {
    expect(faultOf(text)).toContain(message);
  });

  it('follows no bomb of aliases', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
    expect(faultOf(bomb)).toMatch(/aliases|not a known field/);
  });
});

describe('a rule about items', () => {
  it.each([
    [[2000, 4], 'passed'],
    [[2000, 40], 'inconclusive'],
    [[2000, 100], 'failed'],
    [[100, 0], 'inconclusive'],
    [[100, 50], 'failed'],
  ] as const)('that asks for proof of safety: %j flips are %s', (counts, status) => {
    const own = offline(comparison({ a: counts }));
    expect(judged(['measure: nfr, threshold: 0.02, minimumSamples: 300'], own)).toEqual([status, status]);
  });

  it('that asks for proof of harm fails on evidence alone', () => {
    const rules = ['measure: nfr, threshold: 0.02, proof: harm, minimumSamples: 300'];
    expect(judged(rules, offline(comparison({ a: [2000, 45] })))[0]).toBe('passed');
    expect(judged(rules, offline(comparison({ a: [2000, 70] })))[0]).toBe('failed');
    expect(judged(rules, offline(comparison({ a: [50, 0] })))[0]).toBe('inconclusive');
  });

  it('about each slice finds the one that collapsed, and names it', () => {
    const slices = Object.fromEntries(
      Array.from({ length: 20 }, (_, at) => [`label=${at}`, [100, at === 7 ? 20 : 1] as const]),
    );
    const own = gate('measure: nfr, slice: "label=*", threshold: 0.05, proof: harm, minimumSamples: 20');
    const { status, rules } = evaluateGate(own, offline(comparison(slices)));
    expect(status).toBe('failed');
    expect(rules[0]).toMatchObject({ value: 0.2, n: 100 });
    expect(rules[0]!.sentence).toBe('nfr of label=7 is 20.00 % (20 of 100), at most 5.00 % is asked for.');
  });

  it('about slices with few items judges those that have enough, and is inconclusive when none has', () => {
    const own = offline(comparison({ large: [500, 1], small: [5, 0] }));
    const rules = (slice: string) => [`measure: nfr, slice: ${slice}, threshold: 0.05, minimumSamples: 20`];
    expect(judged(rules('each'), own)[0]).toBe('passed');
    expect(judged(rules('small'), own)[0]).toBe('inconclusive');
    expect(judged(rules('nothing'), own)[0]).toBe('inconclusive');
    expect(evaluateGate(gate(...rules('each')), own).rules[0]!.sentence).toContain(
      '1 of 2 slices have too few items',
    );
  });

  it.each([
    ['btc, threshold: 0.9', 'passed'],
    ['btc, threshold: 0.99', 'failed'],
    ['accuracyAfter, threshold: 0.9', 'passed'],
    ['accuracyAfter, threshold: 0.99', 'failed'],
    ['accuracyDifference, threshold: -0.1', 'passed'],
    ['accuracyDifference, threshold: -0.05', 'inconclusive'],
    ['accuracyDifference, threshold: 0', 'failed'],
    ['nfrMultipleChoice, threshold: 0.02', 'failed'],
    ['scoreLower, threshold: 0.1', 'inconclusive'],
  ])('%s: %s for 50 of 1000 lost', (fields, status) => {
    expect(judged([`measure: ${fields}`], offline(comparison({ a: [1000, 50] })))[0]).toBe(status);
  });
});

describe('other rules', () => {
  const figure = (measure: string, value: object): GateEvidence => ({
    figures: { offline: { [measure]: value } },
  });

  it.each([
    [{ value: 1.1, n: 10 }, 'passed'],
    [{ value: 1.3, n: 10 }, 'failed'],
    [{ value: 1.1, low: 1.0, high: 1.4, n: 10 }, 'inconclusive'],
    [{ value: 1.1, n: 2 }, 'inconclusive'],
    [{ value: 1.1, n: 10, pValue: 0.001 }, 'failed'],
    [{ value: 1.3, n: 10, pValue: 0.2 }, 'passed'],
  ])('a figure %j: %s', (value, status) => {
    const rules = ['measure: latencyRatio, threshold: 1.2, minimumSamples: 5'];
    expect(judged(rules, figure('latencyRatio', value))[0]).toBe(status);
  });

  it('a breaking contract fails unless it is overridden with a reason', () => {
    const differences = [
      { field: 'task', change: 'changed', severity: 'breaking', sentence: 'task is other.' },
    ] as const;
    const rules = ['measure: breakingDifferences, threshold: 0'];
    expect(judged(rules, { contract: { differences } })[0]).toBe('failed');
    expect(judged(rules, { contract: { differences, override: 'agreed' } })[0]).toBe('passed');
    expect(judged(rules, {})[0]).toBe('inconclusive');
  });

  it('people can pass what is inconclusive, not what failed; the same one counts once', () => {
    const rules = ['measure: memoryRatio, threshold: 1, approvals: 2', 'measure: approvals, threshold: 2'];
    expect(judged(rules, { approvals: ['a', 'a'] })).toEqual([
      'inconclusive',
      'inconclusive',
      'inconclusive',
    ]);
    expect(judged(rules, { approvals: ['a', 'b'] })).toEqual(['passed', 'passed', 'passed']);
    expect(judged(rules, { ...figure('memoryRatio', { value: 2, n: 1 }), approvals: ['a', 'b'] })[0]).toBe(
      'failed',
    );
  });

  it('about evidence that comes later are pending', () => {
    const { status, pending, rules } = evaluateGate(defaultGate(), { contract: { differences: [] } }, [
      'contract',
    ]);
    expect(status).toBe('passed');
    expect(rules.map((own) => own.rule)).toEqual(['contract']);
    expect(pending).toContain('few-negative-flips');
  });
});

describe('GateWatch', () => {
  it('watches the live rules of the default gate, and fails what is worse', () => {
    const watch = new GateWatch(defaultGate(), 'canary');
    for (let at = 0; at < 400; at++) {
      watch.see('errorRate', at % 20 === 0);
      watch.see('slower', at % 2 === 0);
      watch.see('slowTail', at % 8 === 0);
    }
    const { rules } = evaluateGate(defaultGate(), { figures: { canary: watch.figures } }, ['canary']);
    expect(rules.map((own) => [own.rule, own.status])).toEqual([
      ['canary-errors', 'failed'],
      ['canary-latency', 'passed'],
      ['canary-tail', 'passed'],
      ['canary-feedback', 'passed'],
    ]);
  });
});

describe('the default gate', () => {
  it('is read as it stands, and watches what its text says', () => {
    expect(parseGate(DEFAULT_GATE_TEXT, 'x')).toEqual(defaultGate());
    expect(defaultGate().rules).toHaveLength(13);
  });
});

describe('the reference page', () => {
  const page = readFileSync(new URL('../../../../docs/reference/gate.md', import.meta.url), 'utf8');

  it.each(Object.entries(MEASURES))('says of %s what the code says', (name, { good, meaning }) => {
    // Other tables have rows of the same name: that of the measures says which side is good.
    const row = page
      .split('\n')
      .find((line) => line.startsWith(`| \`${name}\` `) && /\| at (most|least) /.test(line));
    expect(row).toContain(good === 'atMost' ? 'at most' : 'at least');
    expect(row).toContain(meaning.replace('’', "'"));
  });

  it('shows a gate that can be read', () => {
    const example = /```yaml\n([\s\S]*?)```/.exec(page)![1]!;
    expect(parseGate(example, 'gate.md').rules).toHaveLength(4);
  });
});
