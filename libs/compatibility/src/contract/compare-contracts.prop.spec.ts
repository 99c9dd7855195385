import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareContracts } from './compare-contracts.js';
import type { ContractDifference, ModelContract } from './model-contract.js';
import { settleContract } from './settle-contract.js';

const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 2 });
const shape = fc.array(fc.constantFrom<number | string>(1, 2, 'batch', 'sequence'), { maxLength: 3 });
const tensors = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('input_ids', 'attention_mask', 'logits'),
    dataType: fc.constantFrom('int64', 'float32'),
    shape,
  }),
  { selector: ({ name }) => name, maxLength: 3 },
);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const contract: fc.Arbitrary<ModelContract> = fc
  .record({
    task: fc.constantFrom('text-classification', 'fill-mask'),
    labels: optional(names),
    inputs: optional(tensors),
    outputs: optional(tensors),
    tokenizer: optional(
      fc.record({
        digest: fc.constantFrom('sha256:1', 'sha256:2'),
        probe: fc.array(fc.array(fc.nat({ max: 2 }), { maxLength: 2 }), { minLength: 2, maxLength: 2 }),
      }),
    ),
    maxTokens: fc.constantFrom(128, 256, 512),
    dtype: fc.constantFrom('float32', 'int8'),
    licence: fc.constantFrom('Apache-2.0', 'MIT', 'CC-BY-NC-4.0', 'other'),
    lineage: optional(
      fc.record({ kind: fc.constantFrom('probe', 'full'), base: fc.constantFrom('sha256:a', 'sha256:b') }),
    ),
    pooling: optional(fc.constantFrom('mean', 'cls')),
  })
  .map(
    (value) =>
      Object.fromEntries(
        Object.entries(value).filter(([, own]) => own !== undefined),
      ) as unknown as ModelContract,
  );

const BASE: ModelContract = {
  task: 'text-classification',
  labels: ['greet', 'book', 'cancel'],
  inputs: [{ name: 'input_ids', dataType: 'int64', shape: ['batch', 'sequence'] }],
  outputs: [{ name: 'logits', dataType: 'float32', shape: ['batch', 3] }],
  tokenizer: { digest: 'sha256:1', probe: [[1, 2], [3]] },
  maxTokens: 256,
  dtype: 'float32',
  licence: 'Apache-2.0',
  lineage: { kind: 'probe', base: 'sha256:a' },
};

const told = (after: Partial<ModelContract>, before: ModelContract = BASE) =>
  compareContracts(before, { ...BASE, ...after }).map(({ field, change, name, severity }) =>
    [field, change, name, severity].filter(Boolean).join(' '),
  );

describe('compareContracts', () => {
  it('of equal contracts is empty', () => {
    fc.assert(
      fc.property(contract, (own) => {
        expect(compareContracts(own, structuredClone(own))).toEqual([]);
      }),
    );
  });

  it('turned round tells the same fields, with added and removed, raised and lowered exchanged', () => {
    const turned: Partial<Record<ContractDifference['change'], ContractDifference['change']>> = {
      added: 'removed',
      removed: 'added',
      raised: 'lowered',
      lowered: 'raised',
    };
    const keys = (differences: readonly ContractDifference[], isTurned: boolean) =>
      differences
        .map(({ field, change, name }) =>
          // A label that was renamed has another name on either side.
          [field, isTurned ? (turned[change] ?? change) : change, change === 'renamed' ? '' : name].join(' '),
        )
        .sort();
    fc.assert(
      fc.property(contract, contract, (one, other) => {
        expect(keys(compareContracts(other, one), true)).toEqual(keys(compareContracts(one, other), false));
      }),
    );
  });

  it('is as severe both ways for what has no direction', () => {
    const fields = new Set(['task', 'dtype', 'tokenizer', 'problemType', 'pooling']);
    const severities = (differences: readonly ContractDifference[]) =>
      differences
        .filter(({ field }) => fields.has(field))
        .map(({ field, severity }) => `${field} ${severity}`);
    fc.assert(
      fc.property(contract, contract, (one, other) => {
        expect(severities(compareContracts(one, other))).toEqual(severities(compareContracts(other, one)));
      }),
    );
  });

  it('tells the worst first, and every difference in a sentence', () => {
    fc.assert(
      fc.property(contract, contract, (one, other) => {
        const differences = compareContracts(one, other);
        const ranks = differences.map(({ severity }) => ['breaking', 'risky', 'safe'].indexOf(severity));
        expect(ranks).toEqual([...ranks].sort());
        for (const { sentence } of differences) expect(sentence).toMatch(/^[A-Za-z0-9].*\.$/);
      }),
    );
  });

  it.each([
    [{ labels: ['greet', 'book', 'refund'] }, ['labels renamed cancel breaking']],
    [{ labels: ['greet', 'book'] }, ['labels removed cancel breaking']],
    [{ labels: ['greet', 'book', 'cancel', 'refund'] }, ['labels added refund risky']],
    [{ labels: ['book', 'greet', 'cancel'] }, ['labels reordered breaking']],
    [{ labels: ['new', 'greet', 'book', 'cancel'] }, ['labels reordered breaking', 'labels added new risky']],
    [{ inputs: [] }, ['inputs removed input_ids breaking']],
    [
      { inputs: [...BASE.inputs!, { name: 'mask', dataType: 'int64', shape: ['batch'] }] },
      ['inputs added mask breaking'],
    ],
    [
      { inputs: [{ name: 'input_ids', dataType: 'int32', shape: ['batch', 'sequence'] }] },
      ['inputs changed input_ids breaking'],
    ],
    [
      { inputs: [{ name: 'input_ids', dataType: 'int64', shape: [1, 'sequence'] }] },
      ['inputs changed input_ids breaking'],
    ],
    [{ inputs: [{ name: 'input_ids', dataType: 'int64', shape: ['n', 'length'] }] }, []],
    [
      { outputs: [{ name: 'logits', dataType: 'float32', shape: ['batch', 4] }] },
      ['outputs changed logits breaking'],
    ],
    [
      { outputs: [{ name: 'logits', dataType: 'float32', shape: ['batch', 'labels'] }] },
      ['outputs changed logits risky'],
    ],
    [
      { outputs: [...BASE.outputs!, { name: 'hidden', dataType: 'float32', shape: [] }] },
      ['outputs added hidden safe'],
    ],
    [{ tokenizer: { digest: 'sha256:2', probe: [[1, 2], [3]] } }, ['tokenizer changed safe']],
    [{ tokenizer: { digest: 'sha256:2', probe: [[1, 2], [4]] } }, ['tokenizer changed breaking']],
    [
      {
        tokenizer: {
          digest: 'sha256:1',
          probe: [
            [1, 2],
            [3, 3],
          ],
        },
      },
      ['tokenizer changed breaking'],
    ],
    [{ tokenizer: { digest: 'sha256:2' } }, ['tokenizer changed risky']],
    [{ maxTokens: 128 }, ['maxTokens lowered breaking']],
    [{ maxTokens: 512 }, ['maxTokens raised safe']],
    [{ dtype: 'int8' }, ['dtype changed risky']],
    [{ licence: 'MIT' }, ['licence changed risky']],
    [{ licence: 'CC-BY-NC-4.0' }, ['licence changed breaking']],
    [{ lineage: { kind: 'full' } }, ['lineage changed base risky', 'lineage changed kind safe']],
    [{ task: 'fill-mask' }, ['task changed breaking']],
    [{ pooling: 'cls' }, ['pooling changed breaking']],
  ] as const)('%j: %j', (change, differences) => {
    expect(told(change as Partial<ModelContract>)).toEqual(differences);
  });

  it('refuses probe sets of unlike size', () => {
    expect(() => told({ tokenizer: { probe: [[1]] } })).toThrow(RangeError);
  });
});

describe('settleContract', () => {
  it('lets breaking differences through with a reason alone, which it gives back', () => {
    const breaking = compareContracts(BASE, { ...BASE, maxTokens: 64 });
    expect(settleContract(breaking).isAllowed).toBe(false);
    expect(settleContract(breaking, 'no caller sends more')).toMatchObject({
      isAllowed: true,
      override: 'no caller sends more',
    });
    expect(() => settleContract(breaking, ' ')).toThrow(RangeError);
  });

  it('needs no reason for others, and keeps none', () => {
    const risky = compareContracts(BASE, { ...BASE, dtype: 'int8' });
    expect(settleContract(risky, 'because')).toEqual({ breaking: [], isAllowed: true });
  });
});
