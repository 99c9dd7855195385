import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import type { z } from 'zod';

/** One setting: the environment variable it is read from, its rule and what it means. */
export interface Setting<T> {
  readonly variable: string;
  readonly schema: z.ZodType<T>;
  readonly description: string;
}

/** Settings of a service by the name that code uses. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the value type of each setting is recovered by SettingsOf
export type SettingsShape = Record<string, Setting<any>>;

/** Values of a set of settings. */
export type ValuesOf<S extends SettingsShape> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

/** A service's settings: the only place where its defaults stand. */
export interface SettingsDefinition<S extends SettingsShape = SettingsShape> {
  readonly shape: S;
  /** Rules over several settings; each violation names both variables. */
  readonly check: (values: ValuesOf<S>) => readonly FieldViolation[];
}

/** Describes one setting. An unset or empty variable takes the schema's default. */
export function setting<T>(variable: string, schema: z.ZodType<T>, description: string): Setting<T> {
  if (!/^(THALAMUS|OTEL)_[A-Z0-9_]+$/.test(variable)) {
    throw new TypeError(`Setting ${variable}: names are THALAMUS_ or OTEL_ and capital letters.`);
  }
  return { variable, schema, description };
}

/** Puts settings together, with optional rules that span several of them. */
export function defineSettings<S extends SettingsShape>(
  shape: S,
  check: (values: ValuesOf<S>) => readonly FieldViolation[] = () => [],
): SettingsDefinition<S> {
  return { shape, check };
}

/** Values of a definition. */
export type SettingsValues<D> = D extends SettingsDefinition<infer S> ? ValuesOf<S> : never;

/**
 * Reads settings from an environment.
 * @throws CONFIG_INVALID that lists every bad, missing, contradicting or unknown variable at once.
 */
export function loadSettings<S extends SettingsShape>(
  definition: SettingsDefinition<S>,
  environment: Readonly<Record<string, string | undefined>>,
): ValuesOf<S> {
  const violations: FieldViolation[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(definition.shape)) {
    const text = environment[entry.variable];
    const parsed = entry.schema.safeParse(text === '' ? undefined : text);
    if (parsed.success) values[name] = parsed.data;
    else {
      const got = text === undefined || text === '' ? 'it is not set' : quoted(entry.variable, text);
      const rules = parsed.error.issues.map((issue) => issue.message).join('; ');
      violations.push({ field: entry.variable, description: `${rules} (${got}). ${entry.description}` });
    }
  }
  violations.push(...unknownVariables(definition, environment));
  if (violations.length === 0) violations.push(...definition.check(values as ValuesOf<S>));
  if (violations.length > 0) {
    const list = violations.map((violation) => `  ${violation.field}: ${violation.description}`).join('\n');
    throw new ThalamusError('CONFIG_INVALID', `Bad settings in the environment:\n${list}`, { violations });
  }
  return values as ValuesOf<S>;
}

/** A bad value as it may be shown: a secret never stands in a message, which may end in a log. */
function quoted(variable: string, text: string): string {
  if (/_(KEY|SECRET|TOKEN|PASSWORD)(_|$)/.test(variable)) return 'got a value that is not shown';
  return `got "${text.replace(/\/\/[^/@\s]*@/, '//***@')}"`;
}

/** One row of the settings table of `--help` and the reference page. */
export interface SettingRow {
  readonly variable: string;
  /** Default as text; undefined when the variable is required. */
  readonly defaultText: string | undefined;
  readonly description: string;
}

/** Rows for `--help` and the reference page, in the order of definition. */
export function describeSettings(definition: Pick<SettingsDefinition, 'shape'>): readonly SettingRow[] {
  return Object.values(definition.shape).map(({ variable, schema, description }) => {
    const parsed = schema.safeParse(undefined);
    return { variable, defaultText: parsed.success ? textOf(parsed.data) : undefined, description };
  });
}

function textOf(value: unknown): string {
  if (value === undefined) return '(none)';
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function unknownVariables(
  definition: Pick<SettingsDefinition, 'shape'>,
  environment: Readonly<Record<string, string | undefined>>,
): FieldViolation[] {
  const known = new Set(Object.values(definition.shape).map((entry) => entry.variable));
  return Object.keys(environment)
    .filter((name) => name.startsWith('THALAMUS_') && !known.has(name))
    .map((name) => ({
      field: name,
      description: 'unknown setting; --help lists the known ones. Unset it or mend its name.',
    }));
}
