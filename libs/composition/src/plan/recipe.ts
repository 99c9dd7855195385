import { digestOf, type Digest } from '@thalamus/bundle';
import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import {
  compositionMethod,
  parseRecipeDocument,
  type CompositionMethod,
  type RecipeDocument,
  type Settings,
} from '@thalamus/model-merge';
import { checkSettings } from '../recipe-settings.js';

/** A checked recipe. */
export interface Recipe {
  readonly method: CompositionMethod;
  /** Models sorted by name; an empty version means stable. Defaults are filled in. */
  readonly document: RecipeDocument;
  readonly seed: number;
  /** Name of the expert to be made; empty: one derived from the digest. */
  readonly name: string;
  /** Texts without labels that the router is fitted to; empty: to the parents' rows. */
  readonly prompts: readonly string[];
}

/** What is wanted besides what a document says. */
export interface RecipeWishes {
  readonly seed: bigint;
  /** Name of the expert to be made; empty: one derived from the digest. */
  readonly name: string;
  /** Texts without labels that the router is fitted to; none: the parents' rows. */
  readonly prompts?: readonly string[];
}

/** What a parent turned out to be. */
export interface PinnedParent {
  readonly name: string;
  readonly version: string;
  /** Of its manifest. */
  readonly digest: string;
  /** Digests of the files of its rows, in their order. */
  readonly rows: { readonly train: readonly string[]; readonly test: readonly string[] };
}

/** Notes a fault. */
export type SayFault = (field: string, description: string) => void;

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** Most texts without labels, and most characters of all of them. */
const PROMPTS = { most: 20_000, characters: 4 * 2 ** 20 };
const VERSION = /^([1-9][0-9]{0,17})?$/;

/** Whether a text can be the name of an expert. */
export function isExpertName(text: string): boolean {
  return NAME.test(text);
}

/** Whether a text can be a version of a parent; the empty one stands for the stable version. */
export function isParentVersion(text: string): boolean {
  return VERSION.test(text);
}

/** Reads and checks a recipe in YAML. @throws REQUEST_INVALID that names line and field of every fault, METHOD_UNSUPPORTED */
export function readRecipe(text: string, wishes: RecipeWishes): Recipe {
  const violations: FieldViolation[] = [];
  const say: SayFault = (field, description) => violations.push({ field, description });
  return checkRecipe(readRecipeDocument(text, say), wishes, violations);
}

/** A document whose models have names of their own. @throws REQUEST_INVALID */
export function readRecipeDocument(text: string, say: SayFault): RecipeDocument {
  const parsed = parseRecipeDocument(text);
  const repeated = parsed.models.find(
    ({ name }, at) => parsed.models.findIndex((model) => model.name === name) !== at,
  );
  if (repeated) say('recipe.models', `name ${repeated.name} twice; each parent may be named once`);
  return parsed;
}

/**
 * Checks what the parents need not be known for, and fills in defaults. `violations` are the faults that were found before.
 * @throws REQUEST_INVALID that names every field that is wrong, METHOD_UNSUPPORTED
 */
export function checkRecipe(
  document: RecipeDocument,
  wishes: RecipeWishes,
  violations: FieldViolation[],
): Recipe {
  const say: SayFault = (field, description) => violations.push({ field, description });
  const method = compositionMethod(document.method);
  for (const { name, version } of document.models) {
    if (!isExpertName(name))
      say('recipe.models', `${name} is no name of an expert; write lower-case letters, digits and hyphens`);
    if (!isParentVersion(version)) say('recipe.models', `${name}@${version} has no version such as "1"`);
  }
  if (wishes.name !== '' && !isExpertName(wishes.name))
    say('recipe.name', 'must be 1 to 63 lower-case letters, digits or hyphens');
  if (document.models.some(({ name }) => name === wishes.name))
    say('recipe.name', 'is that of a parent; choose another');
  if (wishes.seed > BigInt(Number.MAX_SAFE_INTEGER))
    say('recipe.seed', `must be at most ${Number.MAX_SAFE_INTEGER}`);
  const prompts = wishes.prompts ?? [];
  if (prompts.length > 0) checkPrompts(prompts, method, say);
  if (violations.length > 0) throw invalidRecipe(violations);
  const completed = complete(document, method);
  checkSettings(completed);
  return { method, document: completed, seed: Number(wishes.seed), name: wishes.name, prompts };
}

function checkPrompts(prompts: readonly string[], method: CompositionMethod, say: SayFault): void {
  if (method.chooses === 'parent')
    say('recipe.prompts', `cannot be given to ${method.name}, whose router needs labelled rows; choose twin`);
  if (prompts.length > PROMPTS.most)
    say('recipe.prompts', `are ${prompts.length}, and at most ${PROMPTS.most} are taken`);
  if (prompts.reduce((sum, { length }) => sum + length, 0) > PROMPTS.characters)
    say('recipe.prompts', `have more than ${PROMPTS.characters} characters together; give fewer`);
  const empty = prompts.findIndex((text) => text.trim() === '');
  if (empty >= 0) say(`recipe.prompts[${empty}]`, 'is empty');
}

/** One value for all tensors. */
export const oneValue = (value: number | boolean | string): Settings[string] => [
  { filter: undefined, values: [value] },
];

/** Models by name, and defaults written out: equal recipes are then equal texts. */
function complete(document: RecipeDocument, { shared, perModel, base }: CompositionMethod): RecipeDocument {
  const missing = Object.entries({ ...perModel, ...shared }).flatMap(
    ([name, schema]): [string, Settings[string]][] => {
      const value: unknown = schema.safeParse(undefined).data;
      const isKnown = name in document.settings || value === undefined || value === 'none';
      return isKnown ? [] : [[name, oneValue(value as number | boolean | string)]];
    },
  );
  const models = document.models.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const settings = { ...Object.fromEntries(missing), ...document.settings };
  const isTurned = base === 'one of models' && models[0] !== document.models[0];
  return { ...document, models, settings: isTurned ? turned(settings) : settings };
}

/** Settings of a place between two models, told from the other one: from b to a at t is from a to b at 1 - t. */
function turned(settings: Settings): Settings {
  const { t = [] } = settings;
  const rules = t.map((rule) => ({ ...rule, values: rule.values.map((value) => 1 - Number(value)) }));
  return { ...settings, t: rules };
}

/**
 * The one text of everything that decides what a recipe makes, parents by the digests of their manifests and of their rows. Equal
 * recipes have equal texts, whatever the order of parents and parameters. Rows of tasks that prompts stand for are not in it.
 */
export function canonicalRecipe(
  { document, name, prompts, seed }: Recipe,
  parents: readonly PinnedParent[],
): string {
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
        rows: { test: parent.rows.test, train: prompts.length > 0 ? [] : parent.rows.train },
        version: parent.version,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    // Their texts are in nothing that is stored.
    ...(prompts.length > 0
      ? { prompts: { count: prompts.length, digest: digestOf(JSON.stringify(prompts.toSorted())) } }
      : {}),
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

/** The error of a recipe that cannot be run. */
export function invalidRecipe(violations: readonly FieldViolation[]): ThalamusError {
  const list = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  return new ThalamusError('REQUEST_INVALID', `The recipe is not valid: ${list}.`, { violations });
}
