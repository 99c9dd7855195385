import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { compositionReportSchema } from './composition-report.js';
import { EXPERT_KINDS, expertManifestSchema, PRECISIONS } from './expert-manifest.js';
import { TASKS } from './manifest-fields.js';
import { parseExpertManifest, parseRouterManifest } from './parse-manifest.js';
import { routerEvaluationSchema } from './router-evaluation.js';
import { routerManifestSchema } from './router-manifest.js';

const page = readFileSync(new URL('../../../docs/reference/manifest.md', import.meta.url), 'utf8');

/** The part of the page under a heading of the second level. */
const section = (name: string) => page.split(/^## /m).find((part) => part.startsWith(name)) ?? '';

/** Documented fields of a section: path and whether it is required. */
const documented = (name: string) =>
  [...(section(name).split('### ')[0] ?? '').matchAll(/^\| `([^`]+)` +\|[^|]+\| (yes|no) +\|/gm)].map(
    ([, path, required]) => `${path} ${required}`,
  );

/** Fields of a schema in the same form; `[]` stands for the items of a list, `*` for any key. */
function fieldsOf(schema: z.ZodType, path: string): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return fieldsOf(schema.unwrap() as z.ZodType, path);
  if (schema instanceof z.ZodArray) return fieldsOf(schema.element as z.ZodType, `${path}[]`);
  if (schema instanceof z.ZodDiscriminatedUnion) return fieldsOfUnion(schema.options as z.ZodType[], path);
  if (schema instanceof z.ZodRecord) return fieldsOf(schema.valueType as z.ZodType, `${path}.*`);
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape as Record<string, z.ZodType>).flatMap(([key, inner]) => {
    const inside = path === '' ? key : `${path}.${key}`;
    return [`${inside} ${inner instanceof z.ZodOptional ? 'no' : 'yes'}`, ...fieldsOf(inner, inside)];
  });
}

/** A field is required when every form of the object requires it. */
function fieldsOfUnion(options: readonly z.ZodType[], path: string): string[] {
  const forms = options.map((option) => fieldsOf(option, path));
  const paths = new Set(forms.flat().map((field) => field.replace(/ (yes|no)$/, '')));
  return [...paths].map(
    (name) => `${name} ${forms.every((form) => form.includes(`${name} yes`)) ? 'yes' : 'no'}`,
  );
}

const SHARED = /^(trainingData|evaluation|files)[.[]/;

const example = (name: string): Uint8Array => {
  const body = new RegExp(`\`\`\`json ${name}\\n([^]*?)\`\`\``).exec(page)?.[1];
  return new TextEncoder().encode(body);
};

describe('docs/reference/manifest.md', () => {
  it('names every field of expert.json, and no other', () => {
    expect(documented('expert.json')).toEqual(fieldsOf(expertManifestSchema, ''));
  });

  it('names every field of router.json but those that it shares with expert.json', () => {
    const own = fieldsOf(routerManifestSchema, '').filter((field) => !SHARED.test(field));
    expect(documented('router.json').sort()).toEqual(own.sort());
    const shared = (schema: z.ZodType) => fieldsOf(schema, '').filter((field) => SHARED.test(field));
    expect(shared(routerManifestSchema).sort()).toEqual(shared(expertManifestSchema).sort());
  });

  it('names every field of evaluation.json, and no other', () => {
    expect(documented('evaluation.json')).toEqual(fieldsOf(routerEvaluationSchema, ''));
  });

  it('names every field of composition.json, and no other', () => {
    expect(documented('composition.json')).toEqual(fieldsOf(compositionReportSchema, ''));
  });

  it('names every kind, task and precision', () => {
    for (const value of [...EXPERT_KINDS, ...TASKS, ...PRECISIONS])
      expect(section('expert.json')).toContain(`\`${value}\``);
  });

  it('takes a calibration, and refuses one that does not go with the rest', () => {
    const decoded = JSON.parse(new TextDecoder().decode(example('router.json'))) as {
      calibration: { intervals: object[] };
    };
    const isotonic = { expert: 'overruling', kind: 'isotonic', inputs: [0, 1], values: [0.1, 0.7] };
    const parse = (recalibration: object[], scales = [1, 2], rest: object = {}) =>
      parseRouterManifest(
        new TextEncoder().encode(
          JSON.stringify({
            ...decoded,
            regionCount: 2,
            ...rest,
            calibration: {
              ...decoded.calibration,
              intervals: [{ ...decoded.calibration.intervals[0], scales }],
              recalibration,
            },
          }),
        ),
      );
    expect(parse([isotonic]).calibration.recalibration).toEqual([isotonic]);
    const beta = { expert: 'overruling', kind: 'beta', a: 1, b: 1, c: 0 };
    expect(() => parse([beta], [1, 2], { lossUnit: 'error' })).not.toThrow();
    expect(() => parse([beta])).toThrow(/beta, which is for losses in "error"/);
    expect(() => parse([{ ...isotonic, inputs: [1, 1] }])).toThrow(/inputs that rise/);
    expect(() => parse([{ ...isotonic, values: [0.7, 0.1] }])).toThrow(/values that never fall/);
    expect(() => parse([{ ...isotonic, values: [0.7] }])).toThrow(/as many values as inputs/);
    expect(() => parse([{ ...isotonic, expert: 'other' }])).toThrow(/must name the candidates/);
    expect(() => parse([{ ...isotonic, a: 1 }])).toThrow(/calibration\.recalibration/);
    expect(() => parse([isotonic], [1])).toThrow(/1 scales for 2 regions/);
    expect(() => parse([isotonic], [1, 0])).toThrow(/scales/);
  });

  it('shows examples that parse', () => {
    expect(parseExpertManifest(example('expert.json')).labels).toEqual(['no', 'yes']);
    expect(parseRouterManifest(example('router.json')).heads.kind).toBe('gated');
  });
});
