import type { ContractDifference, Severity, TensorContract } from './model-contract.js';

type Direction = 'inputs' | 'outputs';

/** What a tensor that came or went means: callers send inputs and read outputs. */
const CAME: Readonly<Record<Direction, readonly [Severity, string]>> = {
  inputs: ['breaking', 'is needed now: calls without it fail'],
  outputs: ['safe', 'comes in addition: callers need not read it'],
};
const WENT: Readonly<Record<Direction, readonly [Severity, string]>> = {
  inputs: ['breaking', 'is not taken any more: calls with it fail'],
  outputs: ['breaking', 'does not come any more: callers that read it fail'],
};

/** Inputs or outputs that came, went, or have another type or shape; by name, whatever their order. */
export function tensorDifferences(
  direction: Direction,
  before: readonly TensorContract[],
  after: readonly TensorContract[],
): ContractDifference[] {
  const [old, own] = [byName(before), byName(after)];
  const noun = direction === 'inputs' ? 'input' : 'output';
  const told = (
    name: string,
    change: 'added' | 'removed',
    [severity, meaning]: readonly [Severity, string],
  ) => ({
    field: direction,
    change,
    name,
    severity,
    sentence: `The ${noun} "${name}" ${meaning}.`,
  });
  return [
    ...before.filter(({ name }) => !own.has(name)).map(({ name }) => told(name, 'removed', WENT[direction])),
    ...after.filter(({ name }) => !old.has(name)).map(({ name }) => told(name, 'added', CAME[direction])),
    ...before.flatMap((tensor) => {
      const other = own.get(tensor.name);
      return other ? changed(direction, noun, tensor, other) : [];
    }),
  ];
}

function changed(
  field: Direction,
  noun: string,
  before: TensorContract,
  after: TensorContract,
): ContractDifference[] {
  const { name } = before;
  const difference = (severity: Severity, sentence: string): ContractDifference => ({
    field,
    change: 'changed',
    name,
    severity,
    sentence,
  });
  if (before.dataType !== after.dataType)
    return [
      difference(
        'breaking',
        `The ${noun} "${name}" is ${after.dataType} now, not ${before.dataType}: callers with the old type fail.`,
      ),
    ];
  const severity = shapeSeverity(field, before.shape, after.shape);
  return severity === undefined
    ? []
    : [
        difference(
          severity,
          `The ${noun} "${name}" has the shape [${after.shape.join(', ')}] now, not [${before.shape.join(', ')}]: ${SHAPE_MEANINGS[severity]}.`,
        ),
      ];
}

const SHAPE_MEANINGS: Readonly<Record<Severity, string>> = {
  breaking: 'callers with the old one fail',
  risky: 'callers that rely on the fixed size may fail',
  safe: 'the old one still fits',
};

/** Worst of the dimensions; undefined when nothing but names of varying ones differ. */
function shapeSeverity(
  direction: Direction,
  before: readonly (number | string)[],
  after: readonly (number | string)[],
): Severity | undefined {
  if (before.length !== after.length) return 'breaking';
  const all = before.flatMap((size, at): Severity[] => {
    const other = after[at]!;
    if (typeof size === 'string' && typeof other === 'string') return [];
    if (size === other) return [];
    if (typeof size === 'number' && typeof other === 'number') return ['breaking'];
    // Inputs must take what they took, outputs must give what they gave.
    if (typeof size === 'number') return [direction === 'inputs' ? 'safe' : 'risky'];
    return [direction === 'inputs' ? 'breaking' : 'safe'];
  });
  return (['breaking', 'risky', 'safe'] as const).find((severity) => all.includes(severity));
}

function byName(tensors: readonly TensorContract[]): Map<string, TensorContract> {
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}
