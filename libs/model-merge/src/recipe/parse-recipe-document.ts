import { z } from 'zod';
import { MERGE_METHODS } from '../merge-methods.js';
import type { MergeMethod, MergeParameter } from '../merge-method.js';
import { STATIC_METHODS } from '../static/static-methods.js';
import type { StaticMethod } from '../static/static-method.js';
import { readSettings, type ParameterSchemas } from './read-settings.js';
import type {
  ModelReference,
  RecipeDataType,
  RecipeDocument,
  RecipeModel,
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

const DATA_TYPES: readonly RecipeDataType[] = ['float32', 'float16', 'bfloat16'];

/** What a recipe needs to know of its method. */
interface MethodShape {
  readonly name: string;
  readonly base: 'required' | 'among models' | 'optional';
  readonly takesDataType: boolean;
  readonly minModels: number;
  readonly maxModels: number;
  readonly shared: ParameterSchemas;
  readonly perModel: ParameterSchemas;
}

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

function readMethod(reader: RecipeReader, field: Field | undefined): MethodShape | undefined {
  if (!field) {
    reader.say(reader.root, 'has no merge_method');
    return undefined;
  }
  const name = reader.text(field);
  if (name === undefined) return undefined;
  const fixed = STATIC_METHODS.find((method) => method.name === name);
  if (fixed) return shapeOfStatic(fixed);
  const graph = MERGE_METHODS.find((method) => method.name === name);
  if (graph) return shapeOfGraph(graph);
  const known = [...STATIC_METHODS, ...MERGE_METHODS].map((method) => method.name).join(', ');
  reader.say(field, `"${name.slice(0, 60)}" is unknown; known are ${known}`);
  return undefined;
}

function shapeOfStatic(method: StaticMethod): MethodShape {
  return {
    name: method.name,
    base: method.needsBase ? 'required' : 'among models',
    takesDataType: true,
    minModels: method.minParents,
    maxModels: method.maxParents,
    shared: method.shared.shape,
    perModel: method.perParent.shape,
  };
}

function shapeOfGraph(method: MergeMethod): MethodShape {
  const schema = ({ minimum, maximum, isWhole }: MergeParameter) => {
    const range = `must be ${minimum} to ${maximum}`;
    const number = z.number(range).min(minimum, range).max(maximum, range);
    return (isWhole ? number.int('must be a whole number') : number).optional();
  };
  return {
    name: method.name,
    base: 'optional',
    takesDataType: false,
    minModels: method.minParents,
    maxModels: method.maxParents,
    shared: Object.fromEntries(method.parameters.map((parameter) => [parameter.name, schema(parameter)])),
    perModel: {},
  };
}

function readRest(reader: RecipeReader, fields: Map<string, Field>, method: MethodShape): RecipeDocument {
  const settings = readSettings(reader, fields.get('parameters'), { ...method.perModel, ...method.shared });
  const baseField = fields.get('base_model');
  const base = baseField && readReference(reader, baseField);
  const listed = readModels(reader, fields.get('models'), method, base);
  const models = method.base === 'among models' ? listed : listed.filter((model) => !isSame(model, base));
  if (method.base === 'required' && !baseField)
    reader.say(reader.root, `has no base_model; ${method.name} needs one`);
  if (method.base === 'among models' && baseField && !listed.some((model) => isSame(model, base)))
    reader.say(baseField, `is not one of models; ${method.name} takes its inputs from there alone`);
  if (fields.has('models') && (models.length < method.minModels || models.length > method.maxModels)) {
    const range =
      method.minModels === method.maxModels ? method.minModels : `${method.minModels} to ${method.maxModels}`;
    const besides = method.base === 'among models' ? '' : ' besides the base';
    reader.say(
      fields.get('models')!,
      `names ${models.length} models${besides}; ${method.name} takes ${range}`,
    );
  }
  requireParameters(reader, fields, method, { models, settings });
  readTokenizerSource(reader, fields.get('tokenizer_source'));
  return {
    method: method.name,
    base: method.base === 'among models' ? undefined : base,
    models,
    settings,
    dtype: readDataTypes(reader, fields, method),
  };
}

function readModels(
  reader: RecipeReader,
  field: Field | undefined,
  method: MethodShape,
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
    const isBase = method.base !== 'among models' && isSame(reference, base);
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
  { name, shared, perModel }: MethodShape,
  { models, settings }: { models: readonly RecipeModel[]; settings: Settings },
): void {
  const isRequired = ([, schema]: [string, z.ZodType]) => !schema.safeParse(undefined).success;
  for (const [parameter] of Object.entries(shared).filter(isRequired))
    if (!(parameter in settings))
      reader.say(fields.get('parameters') ?? reader.root, `lacks ${parameter}, which ${name} needs`);
  for (const [parameter] of Object.entries(perModel).filter(isRequired))
    for (const model of models)
      if (!(parameter in model.settings) && !(parameter in settings))
        reader.say(
          fields.get('models')!,
          `gives ${shown(model)} no ${parameter}; ${name} has no default for it`,
        );
}

function readDataTypes(
  reader: RecipeReader,
  fields: Map<string, Field>,
  { name, takesDataType }: MethodShape,
): RecipeDataType | undefined {
  const read = (field: Field | undefined): RecipeDataType | undefined => {
    if (!field) return undefined;
    if (!takesDataType) reader.say(field, `is not for ${name}: its graph keeps the base as it is`);
    const text = reader.text(field);
    const found = DATA_TYPES.find((type) => type === text);
    if (text !== undefined && !found) reader.say(field, `must be ${DATA_TYPES.join(', ')}`);
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
