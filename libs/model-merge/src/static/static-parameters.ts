import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import { z } from 'zod';
import type { StaticMethod, StaticParameters } from './static-method.js';

/** A whole number that seeds random masks. */
export const seedSchema = z
  .number()
  .int('must be a whole number')
  .min(0, 'must not be negative')
  .max(Number.MAX_SAFE_INTEGER, `must be at most ${Number.MAX_SAFE_INTEGER}`);

/** Any finite number. */
export const finiteSchema = z.number('must be a finite number');

/** A share, 0 to 1. */
export const shareSchema = z.number('must be 0 to 1').min(0, 'must be 0 to 1').max(1, 'must be 0 to 1');

/** A finite number without default: leaving it out is an error, as in mergekit. */
export const requiredWeight = z.number({
  error: ({ input }) =>
    input === undefined ? 'is missing; give each parent a weight' : 'must be a finite number',
});

/** Parameters as they come in, by name. */
export interface GivenParameters {
  readonly shared?: Readonly<Record<string, unknown>>;
  readonly parents: readonly {
    readonly name: string;
    readonly parameters?: Readonly<Record<string, unknown>>;
  }[];
}

/**
 * Checks the parameters of a static merge and fills in defaults.
 * @throws REQUEST_INVALID that names every parameter that is missing, unknown or out of range, and wrong numbers of parents
 */
export function parseStaticParameters(method: StaticMethod, given: GivenParameters): StaticParameters {
  const violations: FieldViolation[] = [];
  const shared = parsePart(method, method.shared, given.shared ?? {}, 'parameters', violations);
  const seen = new Set<string>();
  const parents = given.parents.map(({ name, parameters = {} }, index) => {
    const field = `parents[${index}]`;
    if (seen.has(name))
      violations.push({
        field: `${field}.name`,
        description: `names ${name} again; each parent may be named once`,
      });
    seen.add(name);
    return {
      ...parsePart(method, method.perParent, parameters, `${field}.parameters`, violations),
      name,
    };
  });
  const { minParents, maxParents } = method;
  if (parents.length < minParents || parents.length > maxParents)
    violations.push({
      field: 'parents',
      description: `names ${parents.length} parents; ${method.name} takes ${minParents === maxParents ? minParents : `${minParents} to ${maxParents}`}`,
    });
  if (violations.length === 0) return { shared, parents };
  const list = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  throw new ThalamusError('REQUEST_INVALID', `The parameters of ${method.name} are not valid: ${list}.`, {
    violations,
  });
}

function parsePart(
  method: StaticMethod,
  schema: z.ZodObject,
  given: Readonly<Record<string, unknown>>,
  field: string,
  violations: FieldViolation[],
): Record<string, unknown> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const known = Object.keys(schema.shape).join(', ') || 'none';
  for (const issue of parsed.error.issues) {
    if (issue.code === 'unrecognized_keys')
      for (const key of issue.keys)
        violations.push({
          field: `${field}.${key}`,
          description: `is unknown; ${method.name} takes ${known} here`,
        });
    else violations.push({ field: [field, ...issue.path].join('.'), description: issue.message });
  }
  return {};
}
