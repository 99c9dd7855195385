import {
  checkRecipe,
  invalidRecipe,
  isExpertName,
  isParentVersion,
  oneValue,
  readRecipeDocument,
  type Recipe,
  type SayFault,
} from '@thalamus/composition';
import type { FieldViolation } from '@thalamus/errors';
import {
  compositionMethod,
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
  /** Texts without labels that the router is fitted on; none: registered data sets. */
  readonly prompts: readonly string[];
}

/** Checks a recipe. @throws REQUEST_INVALID that names every field that is wrong */
export function parseRecipe(wish: RecipeWish | undefined): Recipe {
  if (!wish) throw invalidRecipe([{ field: 'recipe', description: 'is missing' }]);
  const violations: FieldViolation[] = [];
  const say: SayFault = (field, description) => violations.push({ field, description });
  const document = wish.document === '' ? documentOf(wish, say) : parsedDocument(wish, say);
  return checkRecipe(document, wish, violations);
}

/** A document beside other fields would leave open which of them holds. */
function parsedDocument(
  { document, method, parents, parameters }: RecipeWish,
  say: SayFault,
): RecipeDocument {
  if (method !== '' || parents.length > 0 || Object.keys(parameters).length > 0)
    say('recipe.document', 'cannot be given beside method, parents or parameters; leave them empty');
  return readRecipeDocument(document, say);
}

function documentOf(wish: RecipeWish, say: SayFault): RecipeDocument {
  const method = compositionMethod(wish.method);
  const schemas = { ...method.shared, ...method.perModel };
  const settings: Record<string, Settings[string]> = {};
  for (const [name, value] of Object.entries(wish.parameters)) {
    const schema = schemas[name];
    const field = `recipe.parameters.${name}`;
    const issue = schema?.safeParse(value).error?.issues[0];
    if (!schema) say(field, `is unknown; ${method.name} takes ${Object.keys(schemas).join(', ') || 'none'}`);
    else if (issue) say(field, issue.message);
    else settings[name] = oneValue(value);
  }
  const seen = new Set<string>();
  const models = wish.parents.map(({ expert, version, weight }, index) => {
    const field = `recipe.parents[${index}]`;
    if (!isExpertName(expert))
      say(`${field}.expert`, 'must be the name of an expert: lower-case letters, digits and hyphens');
    else if (seen.has(expert)) say(`${field}.expert`, `names ${expert} again; each parent may be named once`);
    seen.add(expert);
    if (!isParentVersion(version))
      say(`${field}.version`, 'must be a version such as "1", or empty for the stable one');
    const takesWeight = 'weight' in method.perModel;
    if (!takesWeight && weight !== 0)
      say(`${field}.weight`, `must be 0: ${method.name} finds the weights itself`);
    const own: Settings = takesWeight && weight !== 0 ? { weight: oneValue(weight) } : {};
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
  say: SayFault,
): void {
  const lacks = ([name, schema]: [string, CompositionMethod['shared'][string]]) =>
    !(name in settings) && !schema.safeParse(undefined).success;
  for (const [name] of Object.entries(shared).filter(lacks))
    say(`recipe.parameters.${name}`, `is missing; ${method} needs it`);
  for (const [name] of Object.entries(perModel).filter(lacks))
    if (!models.every((model) => name in model.settings))
      say(`recipe.parameters.${name}`, `is missing; ${method} needs it for every parent`);
}
