import { labelDifferences } from './label-differences.js';
import type { ContractDifference, ContractField, ModelContract, Severity } from './model-contract.js';
import { tensorDifferences } from './tensor-differences.js';
import { tokenizerDifference } from './tokenizer-difference.js';

/** Licences that let callers do almost anything. */
const PERMISSIVE: ReadonlySet<string> = new Set([
  'apache-2.0',
  'mit',
  'bsd-2-clause',
  'bsd-3-clause',
  'cc0-1.0',
  'cc-by-3.0',
  'cc-by-4.0',
  'isc',
  'unlicense',
  'psf-2.0',
]);
const ORDER: Readonly<Record<Severity, number>> = { breaking: 0, risky: 1, safe: 2 };

/**
 * What differs between two versions besides their answers, worst first. Equal contracts have no difference; turned round, labels and tensors
 * that were added are removed, limits that were raised are lowered, and the fields stay the same.
 * @throws RangeError for probe sets of unlike size
 */
export function compareContracts(before: ModelContract, after: ModelContract): ContractDifference[] {
  return [
    ...changed('task', before.task, after.task, 'breaking', 'callers ask for something else'),
    ...known(before.labels, after.labels, labelDifferences),
    ...known(before.inputs, after.inputs, (old, own) => tensorDifferences('inputs', old, own)),
    ...known(before.outputs, after.outputs, (old, own) => tensorDifferences('outputs', old, own)),
    ...known(before.tokenizer, after.tokenizer, tokenizerDifference),
    ...limits(before.maxTokens, after.maxTokens),
    ...changed('dtype', before.dtype, after.dtype, 'risky', 'numbers come out a little different'),
    ...licences(before.licence, after.licence),
    ...changed(
      'problemType',
      before.problemType,
      after.problemType,
      'breaking',
      'scores of labels mean something else',
    ),
    ...changed(
      'pooling',
      before.pooling,
      after.pooling,
      'breaking',
      'vectors cannot be compared with those that callers keep',
    ),
    ...changed('upstream', before.upstream, after.upstream, 'risky', 'another remote model answers'),
    ...lineages(before.lineage ?? {}, after.lineage ?? {}),
  ].sort((a, b) => ORDER[a.severity] - ORDER[b.severity]);
}

function known<T>(
  before: T | undefined,
  after: T | undefined,
  compare: (before: T, after: T) => ContractDifference[],
): ContractDifference[] {
  return before === undefined || after === undefined ? [] : compare(before, after);
}

function changed(
  field: ContractField,
  before: string | undefined,
  after: string | undefined,
  severity: Severity,
  meaning: string,
): ContractDifference[] {
  if (before === after) return [];
  const sentence = `${field} is ${shown(after)} now, not ${shown(before)}: ${meaning}.`;
  return [{ field, change: 'changed', severity, sentence }];
}

const shown = (value: string | undefined): string => (value === undefined ? 'not stated' : `"${value}"`);

function limits(before: number, after: number): ContractDifference[] {
  if (before === after) return [];
  return after < before
    ? [
        {
          field: 'maxTokens',
          change: 'lowered',
          severity: 'breaking',
          sentence: `At most ${after} tokens are read now, not ${before}: longer texts are cut or refused.`,
        },
      ]
    : [
        {
          field: 'maxTokens',
          change: 'raised',
          severity: 'safe',
          sentence: `Up to ${after} tokens are read now, not ${before}: what was cut before is read now.`,
        },
      ];
}

function licences(before: string, after: string): ContractDifference[] {
  if (before === after) return [];
  const [wasFree, isFree] = [before, after].map((licence) => PERMISSIVE.has(licence.toLowerCase()));
  const severity = wasFree && !isFree ? 'breaking' : !wasFree && isFree ? 'safe' : 'risky';
  const meaning = {
    breaking: 'what callers do with it may not be allowed any more',
    risky: 'callers may have other duties',
    safe: 'callers may do more than before',
  }[severity];
  return changed('licence', before, after, severity, meaning);
}

type Lineage = NonNullable<ModelContract['lineage']>;

function lineages(before: Lineage, after: Lineage): ContractDifference[] {
  const parents = (lineage: Lineage) => lineage.parents?.join(', ');
  const part = (name: string, old: string | undefined, own: string | undefined, severity: Severity) =>
    old === own
      ? []
      : [
          {
            field: 'lineage' as const,
            change: 'changed' as const,
            name,
            severity,
            sentence: `Its ${name} is ${shown(own)} now, not ${shown(old)}${severity === 'risky' ? ': all it has learned lies on it' : ''}.`,
          },
        ];
  return [
    ...part('base', before.base, after.base, 'risky'),
    ...part('kind', before.kind, after.kind, 'safe'),
    ...part('parents', parents(before), parents(after), 'safe'),
  ];
}
