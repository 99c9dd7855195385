import type { z } from 'zod';
import type { ParameterSchemas } from '../composition-method.js';
import type { Scalar, Setting, SettingRule, Settings } from './recipe-document.js';
import type { Field, RecipeReader } from './recipe-reader.js';

/**
 * Reads a mapping of parameters, each a value, a gradient (a list of values), or rules with filters, as mergekit has them.
 * Every value is checked by the schema of its parameter.
 */
export function readSettings(
  reader: RecipeReader,
  field: Field | undefined,
  schemas: ParameterSchemas,
): Settings {
  if (!field) return {};
  const settings: Record<string, Setting> = {};
  for (const [name, inner] of reader.fields(field, Object.keys(schemas)) ?? [])
    settings[name] = readSetting(reader, inner, schemas[name]!);
  return settings;
}

function readSetting(reader: RecipeReader, field: Field, schema: z.ZodType): Setting {
  if (reader.isMapping(field)) return readRules(reader, [field], schema);
  if (!reader.isList(field)) return [{ filter: undefined, values: readValues(reader, field, schema) }];
  const items = reader.items(field) ?? [];
  if (items.length === 0) {
    reader.say(field, 'is an empty list; give a value');
    return [];
  }
  if (items.some((item) => reader.isMapping(item))) return readRules(reader, items, schema);
  return [{ filter: undefined, values: readValues(reader, field, schema) }];
}

function readRules(reader: RecipeReader, items: readonly Field[], schema: z.ZodType): Setting {
  return items.flatMap((item): SettingRule[] => {
    const fields = reader.fields(item, ['filter', 'value']);
    if (!fields) return [];
    const [filter, value] = [fields.get('filter'), fields.get('value')];
    if (!value) {
      reader.say(item, 'has no value');
      return [];
    }
    const wanted = filter && reader.text(filter);
    return [{ filter: wanted === '*' ? undefined : wanted, values: readValues(reader, value, schema) }];
  });
}

/** One value, or the points of a gradient. */
function readValues(reader: RecipeReader, field: Field, schema: z.ZodType): readonly Scalar[] {
  const items = reader.isList(field) ? (reader.items(field) ?? []) : [field];
  if (items.length === 0) reader.say(field, 'is an empty list; give a value');
  return items.flatMap((item): Scalar[] => {
    const value = reader.scalar(item);
    if (value === undefined) return [];
    const parsed = schema.safeParse(value);
    if (parsed.success) return [value];
    for (const { message } of parsed.error.issues) reader.say(item, message);
    return [];
  });
}
