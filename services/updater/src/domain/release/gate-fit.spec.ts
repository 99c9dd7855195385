import { create } from '@bufbuild/protobuf';
import { defaultGate, parseGate } from '@thalamus/compatibility';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { needGateFits, withLimitsOf, type GateSubject } from './gate-fit.js';

const ALL: GateSubject = { isCompared: true, isMirrored: true, hasOwnProcess: true, probes: 300 };
const gateOf = (...rules: readonly string[]) =>
  parseGate(
    `version: 1\nname: g\nrules:\n${rules.map((own, at) => `  - { name: r${at}, ${own} }\n`).join('')}`,
    'g',
  );
const faultsOf = (rules: readonly string[], subject: Partial<GateSubject> = {}) => {
  try {
    needGateFits(gateOf(...rules), { ...ALL, ...subject });
    return [];
  } catch (fault) {
    if (!ThalamusError.is(fault) || fault.code !== 'REQUEST_INVALID') throw fault;
    return fault.violations.map(({ field, description }) => `${field} ${description}`);
  }
};
const rule = (measure: string, data: string, threshold = 0.5) =>
  `measure: ${measure}, data: ${data}, threshold: ${threshold}`;

describe('what a release can be judged by', () => {
  it('is all of the default gate, where both versions are whole graphs that are compared and mirrored', () => {
    expect(() => {
      needGateFits(defaultGate(), ALL);
    }).not.toThrow();
  });

  it.each([
    ['nfr', 'shadow'],
    ['latencyRatio', 'shadow'],
    ['worse', 'shadow'],
    ['flips', 'shadow'],
    ['errorRate', 'probes'],
    ['disagreement', 'canary'],
    ['errorRate', 'offline'],
    ['nfr', 'contract'],
    ['nfr', 'approvals'],
    ['changedChoices', 'router'],
    ['nfr', 'my-data'],
  ])('is not %s of %s: the rule is named', (measure, data) => {
    expect(faultsOf([rule('approvals', 'offline', 1), rule(measure, data)])).toEqual([
      expect.stringMatching(`^gate.rules.1 the rule r1 (asks for ${measure} of ${data}|is about ${data})`),
    ]);
  });

  it('needs files for offline, mirrored requests for shadow and processes for memory, and tells all that lack', () => {
    const rules = [rule('nfr', 'offline'), rule('errorRate', 'shadow'), rule('memoryRatio', 'canary')];
    expect(faultsOf(rules)).toEqual([]);
    expect(faultsOf(rules, { isCompared: false, isMirrored: false, hasOwnProcess: false })).toEqual([
      expect.stringContaining('r0 is about offline, and no prediction files'),
      expect.stringContaining('r1 is about shadow, and nothing is mirrored'),
      expect.stringContaining('r2 asks for memoryRatio, which is known of versions'),
    ]);
    const probes = `${rule('flips', 'probes', 0.02)}, minimumSamples: 300`;
    expect(faultsOf([probes])).toEqual([]);
    expect(faultsOf([probes], { isMirrored: false })).toEqual([]);
    expect(faultsOf([probes], { probes: 299 })).toEqual([
      expect.stringContaining('r0 is about probes, of which it needs 300; 299 are given'),
    ]);
    expect(faultsOf([rule('memoryRatio', 'shadow', 2)])).toEqual([]);
    expect(faultsOf([rule('errorRate', 'shadow', 1)])).toEqual([expect.stringContaining('a threshold of 1')]);
  });
});

describe('limits of a plan that rules set', () => {
  const start = (fields: Partial<Omit<releaseV1.StartRequest, '$typeName' | '$unknown'>> = {}) =>
    create(releaseV1.StartRequestSchema, fields);
  const gate = gateOf(
    rule('nfr', 'offline', 0.03),
    rule('errorRate', 'shadow', 0.02),
    rule('disagreement', 'shadow', 0.3),
  );

  it('are taken from the rules of all items, mirrored errors and disagreement', () => {
    expect(withLimitsOf(gate, start({ latencyTolerance: 2 }))).toMatchObject({
      ...{ negativeFlipBudget: 0.03, errorLimit: 0.02, disagreementLimit: 0.3, latencyTolerance: 2 },
    });
    const slices = gateOf(`${rule('nfr', 'offline', 0.03)}, slice: each`, rule('errorRate', 'canary', 0.02));
    expect(withLimitsOf(slices, start({ negativeFlipBudget: 0.1, errorLimit: 0.1 }))).toMatchObject({
      ...{ negativeFlipBudget: 0.1, errorLimit: 0.1 },
    });
  });

  it.each([
    ['negative_flip_budget', { negativeFlipBudget: 0.01 }],
    ['error_limit', { errorLimit: 0.01 }],
    ['disagreement_limit', { disagreementLimit: 0.01 }],
  ])('are not said by %s as well', (field, given) => {
    expect(() => withLimitsOf(gate, start(given))).toThrow(
      new RegExp(`: ${field}: the rule r\\d of the gate g`),
    );
  });
});
