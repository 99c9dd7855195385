import type { z } from 'zod';
import type { CompositionMethod } from '../composition-method.js';
import { COMPOSITION_METHODS } from '../composition-methods.js';
import { readSettings } from './read-settings.js';
import type {
  ModelReference,
  RecipeDataType,
  RecipeDocument,
  RecipeModel,
  Setting,
  Settings,
} from './recipe-document.js';
import { RecipeReader, type Field } from './recipe-reader.js';

/** Fields of mergekit's recipes that are known and not supported, and what to do instead. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  slices:
    'is not supported: layers are merged where they stand. Name whole models under models; a gradient of values varies a parameter from the first layer to the last',
  modules: 'is not supported: a recipe is for one model. Name whole models under models',
  tokenizer: 'is not supported: all parents must have the tokenizer of the base. Leave it out',
  chat_template: 'is not supported: the base’s is kept. Leave it out',
};

const FIELDS = [
  'merge_method',
  'base_model',
  'models',
  'parameters',
  'dtype',
  'out_dtype',
  'tokenizer_source',
  ...Object.keys(UNSUPPORTED),
];

/**
 * Reads a merge recipe in mergekit's YAML, `merge_method: twin` besides. Gradients and filters are read, slices and modules
 * refused. A field or parameter that is unknown, or that would do nothing, is an error.
 * @throws REQUEST_INVALID that names line, field and reason of every fault
 */
export function parseRecipeDocument(text: string): RecipeDocument {
  const reader = new RecipeReader(text);
  const fields = reader.fields(reader.root, FIELDS) ?? new Map<string, Field>();
  for (const [name, reason] of Object.entries(UNSUPPORTED)) {
    const field = fields.get(name);
    if (field) reader.say(field, reason);
  }
  const method = readMethod(reader, fields.get('merge_method'));
  // Without a method nothing more can be said of the rest.
  if (!method) reader.end();
  const document = readRest(reader, fields, method!);
  reader.end();
  return document;
}

function readMethod(reader: RecipeReader, field: Field | undefined): CompositionMethod | undefined {
  if (!field) {
    reader.say(reader.root, 'has no merge_method');
    return undefined;
  }
  const name = reader.text(field);
  if (name === undefined) return undefined;
  const method = COMPOSITION_METHODS.find((candidate) => candidate.name === name);
  if (method) return method;
  const known = COMPOSITION_METHODS.map((candidate) => candidate.name).join(', ');
  reader.say(field, `"${name.slice(0, 60)}" is unknown; known are ${known}`);
  return undefined;
}

function readRest(
  reader: RecipeReader,
  fields: Map<string, Field>,
  method: CompositionMethod,
): RecipeDocument {
  const settings = readSettings(reader, fields.get('parameters'), { ...method.perModel, ...method.shared });
  const baseField = fields.get('base_model');
  const base = baseField && readReference(reader, baseField);
  const listed = readModels(reader, fields.get('models'), method, base);
  const isAmong = method.base === 'among models' || method.base === 'one of models';
  const models = isAmong ? firstOf(listed, base) : listed.filter((model) => !isSame(model, base));
  if (method.base === 'required' && !baseField)
    reader.say(reader.root, `has no base_model; ${method.name} needs one`);
  if (isAmong && baseField && !listed.some((model) => isSame(model, base)))
    reader.say(baseField, `is not one of models; ${method.name} takes its inputs from there alone`);
  if (fields.has('models') && (models.length < method.minParents || models.length > method.maxParents)) {
    const range =
      method.minParents === method.maxParents
        ? method.minParents
        : `${method.minParents} to ${method.maxParents}`;
    const besides = isAmong ? '' : ' besides the base';
    reader.say(
      fields.get('models')!,
      `names ${models.length} models${besides}; ${method.name} takes ${range}`,
    );
  }
  requireParameters(reader, fields, method, { models, settings });
  requireTogether(reader, fields.get('parameters'), method, settings);
  readTokenizerSource(reader, fields.get('tokenizer_source'));
  return {
    method: method.name,
    base: isAmong ? undefined : base,
    models,
    settings,
    dtype: readDataTypes(reader, fields, method),
  };
}

/** Models with the base in front, where it is one of them. */
function firstOf(models: readonly RecipeModel[], base: ModelReference | undefined): readonly RecipeModel[] {
  return [
    ...models.filter((model) => isSame(model, base)),
    ...models.filter((model) => !isSame(model, base)),
  ];
}

function readModels(
  reader: RecipeReader,
  field: Field | undefined,
  method: CompositionMethod,
  base: ModelReference | undefined,
): readonly RecipeModel[] {
  if (!field) {
    reader.say(reader.root, 'has no models; list those that are merged');
    return [];
  }
  const seen: ModelReference[] = [];
  return (reader.items(field) ?? []).flatMap((item): RecipeModel[] => {
    const fields = reader.fields(item, ['model', 'parameters']);
    const named = fields?.get('model');
    if (fields && !named) reader.say(item, 'has no model');
    const reference = named && readReference(reader, named);
    if (!fields || !named || !reference) return [];
    if (seen.some((other) => isSame(other, reference))) reader.say(named, `names ${shown(reference)} again`);
    seen.push(reference);
    const parameters = fields.get('parameters');
    const isBase = !['among models', 'one of models'].includes(method.base) && isSame(reference, base);
    if (isBase && parameters)
      reader.say(parameters, 'is of the base, which has none: its weight is what others leave');
    return [{ ...reference, settings: isBase ? {} : readSettings(reader, parameters, method.perModel) }];
  });
}

/** `name` or `name@version`. */
function readReference(reader: RecipeReader, field: Field): ModelReference | undefined {
  if (reader.isMapping(field)) {
    reader.say(field, 'must be a name, or name@version; mappings with path and revision are not supported');
    return undefined;
  }
  const text = reader.text(field);
  if (text === undefined) return undefined;
  if (text.includes('+')) {
    reader.say(
      field,
      'asks for an adapter with "+", which is not supported; register the adapter as an expert and name it',
    );
    return undefined;
  }
  const [name = '', version = '', ...more] = text.split('@');
  if (name !== '' && more.length === 0 && (version !== '' || !text.includes('@'))) return { name, version };
  reader.say(field, 'must be a name, or name@version');
  return undefined;
}

/** Parameters without default must be set for every model, there or for all. */
function requireParameters(
  reader: RecipeReader,
  fields: Map<string, Field>,
  { name, shared, perModel }: CompositionMethod,
  { models, settings }: { models: readonly RecipeModel[]; settings: Settings },
): void {
  const isRequired = ([, schema]: [string, z.ZodType]) => !schema.safeParse(undefined).success;
  for (const [parameter] of Object.entries(shared).filter(isRequired))
    if (!(parameter in settings))
      reader.say(fields.get('parameters') ?? reader.root, `lacks ${parameter}, which ${name} needs`);
  for (const [parameter] of Object.entries(perModel).filter(isRequired)) {
    const without = models.filter((model) => !(parameter in model.settings) && !(parameter in settings));
    // One that is named twice lacks it once: that it is named twice is said already.
    for (const model of new Set(without.map(shown)))
      reader.say(fields.get('models')!, `gives "${model}" no ${parameter}; ${name} has no default for it`);
  }
}

/** Parameters of what is the same for all tensors have one value each, and go together. */
function requireTogether(
  reader: RecipeReader,
  field: Field | undefined,
  { name, chooses, faultsOf }: CompositionMethod,
  settings: Settings,
): void {
  if (!field || chooses === 'static') return;
  const places = reader.fields(field, undefined);
  const say = (parameter: string, description: string) =>
    reader.say(places?.get(parameter) ?? field, description);
  for (const [parameter, setting] of Object.entries(settings))
    if (isVaried(setting)) say(parameter, `must be one value: ${name} is the same for all tensors`);
  const values = Object.entries(settings).flatMap(([parameter, setting]) => {
    const value = setting[0]?.values[0];
    return isVaried(setting) || value === undefined ? [] : [[parameter, value] as const];
  });
  for (const { parameter, description } of faultsOf?.(Object.fromEntries(values)) ?? [])
    say(parameter, description);
}

/** Whether a setting may differ from tensor to tensor. */
function isVaried(setting: Setting): boolean {
  return (
    setting.length > 1 || setting.some(({ filter, values }) => filter !== undefined || values.length > 1)
  );
}

function readDataTypes(
  reader: RecipeReader,
  fields: Map<string, Field>,
  { name, dataTypes }: CompositionMethod,
): RecipeDataType | undefined {
  const read = (field: Field | undefined): RecipeDataType | undefined => {
    if (!field) return undefined;
    if (dataTypes.length === 0) reader.say(field, `is not for ${name}: its graph keeps the base as it is`);
    const text = reader.text(field);
    const found = dataTypes.find((type) => type === text);
    if (text !== undefined && !found && dataTypes.length > 0)
      reader.say(field, `must be ${dataTypes.join(', ')}`);
    return found;
  };
  const dtype = read(fields.get('dtype'));
  return read(fields.get('out_dtype')) ?? dtype;
}

function readTokenizerSource(reader: RecipeReader, field: Field | undefined): void {
  if (field && reader.text(field) !== 'base')
    reader.say(field, 'must be base, or left out: all parents must have the tokenizer of the base');
}

function isSame(model: ModelReference, other: ModelReference | undefined): boolean {
  return model.name === other?.name && model.version === other.version;
}

function shown({ name, version }: ModelReference): string {
  return version === '' ? name : `${name}@${version}`;
}
