import type { ContractDifference } from './model-contract.js';

const SHOWN = 5;

/**
 * Labels that came, went, got another name at their place, or stand at another place. Readers of names need every label to stay; readers of
 * raw logits need every place to stay.
 */
export function labelDifferences(before: readonly string[], after: readonly string[]): ContractDifference[] {
  const [old, own] = [new Set(before), new Set(after)];
  const renamed = before.flatMap((name, at) => {
    const other = after[at];
    return other !== undefined && !own.has(name) && !old.has(other) ? [{ name, other }] : [];
  });
  const isRenamed = new Set(renamed.flatMap(({ name, other }) => [name, other]));
  const moved = before.filter((name, at) => own.has(name) && after[at] !== name);
  return [
    ...renamed.map(({ name, other }): ContractDifference => ({
      field: 'labels',
      change: 'renamed',
      name,
      severity: 'breaking',
      sentence: `The label "${name}" is called "${other}" now: callers that read names do not know it.`,
    })),
    ...before
      .filter((name) => !own.has(name) && !isRenamed.has(name))
      .map((name): ContractDifference => ({
        field: 'labels',
        change: 'removed',
        name,
        severity: 'breaking',
        sentence: `The label "${name}" is gone: what had it gets another answer.`,
      })),
    ...after
      .filter((name) => !old.has(name) && !isRenamed.has(name))
      .map((name): ContractDifference => ({
        field: 'labels',
        change: 'added',
        name,
        severity: 'risky',
        sentence: `The label "${name}" is new: callers may not know what to do with it.`,
      })),
    ...(moved.length === 0 ? [] : [reordered(moved)]),
  ];
}

function reordered(moved: readonly string[]): ContractDifference {
  const names = moved.slice(0, SHOWN).map((name) => `"${name}"`);
  const more = moved.length > SHOWN ? ` and ${moved.length - SHOWN} more` : '';
  return {
    field: 'labels',
    change: 'reordered',
    severity: 'breaking',
    sentence: `${moved.length} labels stand at another place (${names.join(', ')}${more}): callers that read logits by place take them for others.`,
  };
}
