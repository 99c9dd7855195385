import { digestOf, type Digest } from '@thalamus/bundle';
import { checkSettings } from '@thalamus/composition';
import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import {
  compositionMethod,
  parseRecipeDocument,
  type CompositionMethod,
  type RecipeDocument,
  type Settings,
} from '@thalamus/model-merge';

/** A recipe as it comes in: field by field, or as a document. */
export interface RecipeWish {
  readonly method: string;
  readonly parents: readonly { readonly expert: string; readonly version: string; readonly weight: number }[];
  readonly parameters: Readonly<Record<string, number>>;
  readonly seed: bigint;
  readonly name: string;
  /** mergekit's YAML; empty where the fields say it. */
  readonly document: string;
}

/** A checked recipe. */
export interface Recipe {
  readonly method: CompositionMethod;
  /** Models sorted by name; an empty version means stable. Defaults are filled in. */
  readonly document: RecipeDocument;
  readonly seed: number;
  /** Name of the expert to be made; empty: one derived from the digest. */
  readonly name: string;
}

/** What a parent turned out to be. */
export interface PinnedParent {
  readonly name: string;
  readonly version: string;
  /** Of its manifest. */
  readonly digest: string;
}

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const VERSION = /^([1-9][0-9]{0,17})?$/;

/** Checks a recipe. @throws REQUEST_INVALID that names every field that is wrong */
export function parseRecipe(wish: RecipeWish | undefined): Recipe {
  if (!wish) throw invalid([{ field: 'recipe', description: 'is missing' }]);
  const violations: FieldViolation[] = [];
  const say: Say = (field, description) => violations.push({ field, description });
  const document = wish.document === '' ? documentOf(wish, say) : parsedDocument(wish, say);
  const method = compositionMethod(document.method);
  for (const { name, version } of document.models) {
    if (!NAME.test(name))
      say('recipe.models', `${name} is no name of an expert; write lower-case letters, digits and hyphens`);
    if (!VERSION.test(version)) say('recipe.models', `${name}@${version} has no version such as "1"`);
  }
  if (wish.name !== '' && !NAME.test(wish.name))
    say('recipe.name', 'must be 1 to 63 lower-case letters, digits or hyphens');
  if (document.models.some(({ name }) => name === wish.name))
    say('recipe.name', 'is that of a parent; choose another');
  if (wish.seed > BigInt(Number.MAX_SAFE_INTEGER))
    say('recipe.seed', `must be at most ${Number.MAX_SAFE_INTEGER}`);
  if (violations.length > 0) throw invalid(violations);
  const completed = complete(document, method);
  checkSettings(completed);
  return { method, document: completed, seed: Number(wish.seed), name: wish.name };
}

type Say = (field: string, description: string) => void;

/** A document beside other fields would leave open which of them holds. */
function parsedDocument({ document, method, parents, parameters }: RecipeWish, say: Say): RecipeDocument {
  if (method !== '' || parents.length > 0 || Object.keys(parameters).length > 0)
    say('recipe.document', 'cannot be given beside method, parents or parameters; leave them empty');
  const parsed = parseRecipeDocument(document);
  const repeated = parsed.models.find(
    ({ name }, at) => parsed.models.findIndex((model) => model.name === name) !== at,
  );
  if (repeated) say('recipe.models', `name ${repeated.name} twice; each parent may be named once`);
  return parsed;
}

function documentOf(wish: RecipeWish, say: Say): RecipeDocument {
  const method = compositionMethod(wish.method);
  const schemas = { ...method.shared, ...method.perModel };
  const settings: Record<string, Settings[string]> = {};
  for (const [name, value] of Object.entries(wish.parameters)) {
    const schema = schemas[name];
    const field = `recipe.parameters.${name}`;
    const issue = schema?.safeParse(value).error?.issues[0];
    if (!schema) say(field, `is unknown; ${method.name} takes ${Object.keys(schemas).join(', ') || 'none'}`);
    else if (issue) say(field, issue.message);
    else settings[name] = one(value);
  }
  const seen = new Set<string>();
  const models = wish.parents.map(({ expert, version, weight }, index) => {
    const field = `recipe.parents[${index}]`;
    if (!NAME.test(expert))
      say(`${field}.expert`, 'must be the name of an expert: lower-case letters, digits and hyphens');
    else if (seen.has(expert)) say(`${field}.expert`, `names ${expert} again; each parent may be named once`);
    seen.add(expert);
    if (!VERSION.test(version))
      say(`${field}.version`, 'must be a version such as "1", or empty for the stable one');
    const takesWeight = 'weight' in method.perModel;
    if (!takesWeight && weight !== 0)
      say(`${field}.weight`, `must be 0: ${method.name} finds the weights itself`);
    const own: Settings = takesWeight && weight !== 0 ? { weight: one(weight) } : {};
    return { name: expert, version, settings: own };
  });
  const { minParents, maxParents } = method;
  if (models.length < minParents || models.length > maxParents)
    say(
      'recipe.parents',
      `names ${models.length} parents; ${method.name} takes ${minParents} to ${maxParents}`,
    );
  requireGiven(method, models, settings, say);
  return { method: method.name, base: undefined, models, settings, dtype: undefined };
}

/** Parameters without default have to be given: to a method, or to each of its models. */
function requireGiven(
  { name: method, shared, perModel }: CompositionMethod,
  models: RecipeDocument['models'],
  settings: Settings,
  say: Say,
): void {
  const lacks = ([name, schema]: [string, CompositionMethod['shared'][string]]) =>
    !(name in settings) && !schema.safeParse(undefined).success;
  for (const [name] of Object.entries(shared).filter(lacks))
    say(`recipe.parameters.${name}`, `is missing; ${method} needs it`);
  for (const [name] of Object.entries(perModel).filter(lacks))
    if (!models.every((model) => name in model.settings))
      say(`recipe.parameters.${name}`, `is missing; ${method} needs it for every parent`);
}

const one = (value: number | boolean | string) => [{ filter: undefined, values: [value] }];

/** Models by name, and defaults written out: equal recipes are then equal texts. */
function complete(document: RecipeDocument, { shared, perModel }: CompositionMethod): RecipeDocument {
  const missing = Object.entries({ ...perModel, ...shared }).flatMap(
    ([name, schema]): [string, Settings[string]][] => {
      const value: unknown = schema.safeParse(undefined).data;
      const isKnown = name in document.settings || value === undefined || value === 'none';
      return isKnown ? [] : [[name, one(value as number | boolean | string)]];
    },
  );
  return {
    ...document,
    models: document.models.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    settings: { ...Object.fromEntries(missing), ...document.settings },
  };
}

/**
 * The one text of everything that decides what a recipe makes, parents by the digests of their manifests. Equal recipes
 * have equal texts, whatever the order of parents and parameters.
 */
export function canonicalRecipe({ document, name, seed }: Recipe, parents: readonly PinnedParent[]): string {
  const sorted = (settings: Settings) =>
    Object.fromEntries(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify({
    method: document.method,
    dtype: document.dtype ?? 'float32',
    name,
    parameters: sorted(document.settings),
    parents: parents
      .map((parent) => ({
        digest: parent.digest,
        name: parent.name,
        parameters: sorted(document.models.find((model) => model.name === parent.name)?.settings ?? {}),
        version: parent.version,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    seed,
  });
}

/** Identity of a composition. */
export function recipeDigest(canonical: string): Digest {
  return digestOf(canonical);
}

/** Name of the expert that a recipe makes. */
export function expertNameOf(recipe: Recipe, digest: Digest): string {
  return (
    recipe.name ||
    `${recipe.method.name.replaceAll('_', '-')}-${digest.slice('sha256:'.length, 'sha256:'.length + 12)}`
  );
}

function invalid(violations: readonly FieldViolation[]): ThalamusError {
  const list = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  return new ThalamusError('REQUEST_INVALID', `The recipe is not valid: ${list}.`, { violations });
}
