import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  isJobKind,
  JOB_KINDS,
  JOB_PARAMETERS,
  lossTableParametersSchema,
  trainParametersSchema,
} from './job-kinds.js';
import { repairParametersSchema } from './repair-parameters.js';

const page = readFileSync(new URL('../../../docs/reference/jobs.md', import.meta.url), 'utf8');

describe('the reference page of jobs', () => {
  it.each(Object.values(JOB_KINDS))('names every parameter of %s and no other', (kind) => {
    const section = page.split(`\n### ${kind}\n`)[1]?.split('\n#')[0] ?? '';
    const table = section.split('\n').filter((line) => line.startsWith('| `'));
    const named = table.flatMap((line) =>
      [...(line.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name),
    );
    expect(named.sort()).toEqual(Object.keys(JOB_PARAMETERS[kind].shape).sort());
  });
});

it('refuses what the method does not heed, by its name', () => {
  const refused = (more: object) =>
    trainParametersSchema
      .safeParse({ expert: 'a', dataset: 'b@1', ...more })
      .error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`);
  expect(refused({ method: 'lora', rank: 8, alpha: 16, epochs: 2 })).toBeUndefined();
  expect(refused({ method: 'full', epochs: 2, alpha: 16 })).toEqual([
    'alpha has no effect on the method full',
  ]);
  expect(refused({ method: 'svd', rank: 8, alpha: 16 })).toEqual(['alpha has no effect on the method svd']);
  expect(refused({ epochs: 2, keepMethod: true })).toEqual([
    'epochs has no effect on the method probe',
    'keepMethod has no effect on the method probe',
  ]);
});

it('refuses what masked language models do not heed, and what only they heed', () => {
  const refused = (more: object) =>
    trainParametersSchema
      .safeParse({ expert: 'a', dataset: 'b@1', ...more })
      .error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`);
  expect(refused({ task: 'fill-mask', method: 'lora', rank: 8, startFrom: 'c@2' })).toBeUndefined();
  expect(refused({ task: 'fill-mask' })).toEqual(['method must be lora for fill-mask']);
  expect(refused({ task: 'fill-mask', method: 'lora', keepMethod: true, ignoredColumns: ['note'] })).toEqual([
    'keepMethod has no effect on fill-mask',
    'ignoredColumns has no effect on fill-mask',
  ]);
  expect(refused({ method: 'lora', startFrom: 'c@2' })).toEqual([
    'startFrom has no effect on text-classification',
  ]);
});

it('refuses parts of a loss table that are none, and experts that make no table', () => {
  const refused = (more: object) =>
    lossTableParametersSchema
      .safeParse({ experts: ['a@1', 'b@2'], dataset: 'c@1', parts: 2, part: 2, ...more })
      .error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`);
  expect(refused({})).toBeUndefined();
  expect(refused({ parts: 0, part: 0 })).toEqual(['parts must be 1 or more', 'part must be 1 or more']);
  expect(refused({ part: 3 })).toEqual(['part must be 1 to 2, the number of parts']);
  expect(refused({ experts: ['a@1'] })).toEqual([
    'experts must name 2 or more: among fewer nothing is chosen',
  ]);
  expect(refused({ experts: ['a@1', 'b@1', 'a@2'] })).toEqual([
    'experts has a twice; a table has one column for a name',
  ]);
  expect(refused({ experts: ['a', 'b@1'] })?.[0]).toMatch(/^experts\.0 must be name@version/);
});

it('tells the kinds that there are from those that are names of properties alone', () => {
  expect(['train', 'evaluate', 'loss-table', 'repair'].every(isJobKind)).toBe(true);
  expect(['lossTable', 'compose', 'toString', ''].some(isJobKind)).toBe(false);
});

it('takes rank and alpha of a repair from the new version, and names of versions with their number', () => {
  const refused = (more: object) =>
    repairParametersSchema
      .safeParse({ from: 'a@1', to: 'a@2', dataset: 'c@1', ...more })
      .error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`);
  expect(refused({ method: 'mean-ce', epochs: 2, rate: 1e-4 })).toBeUndefined();
  expect(refused({ rank: 8 })?.[0]).toContain('"rank"');
  expect(refused({ to: 'a' })?.[0]).toMatch(/^to must be name@version/);
  expect(refused({ method: 'lora' })?.[0]).toMatch(/^method must be one of muscle, /);
});

it('fills in the defaults that the page promises', () => {
  expect(trainParametersSchema.parse({ expert: 'a', dataset: 'b@1' })).toEqual({
    expert: 'a',
    dataset: 'b@1',
    task: 'text-classification',
    channel: 'candidate',
    method: 'probe',
    keepMethod: false,
    seed: 0,
    ignoredColumns: [],
  });
});
