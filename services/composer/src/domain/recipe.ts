import { digestOf, type Digest } from '@thalamus/bundle';
import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import {
  mergeMethod,
  parseMergeParameters,
  type MergeMethod,
  type MergeParameters,
} from '@thalamus/model-merge';

/** A recipe as it comes in. */
export interface RecipeWish {
  readonly method: string;
  readonly parents: readonly { readonly expert: string; readonly version: string; readonly weight: number }[];
  readonly parameters: Readonly<Record<string, number>>;
  readonly seed: bigint;
  readonly name: string;
}

/** A checked recipe. */
export interface Recipe {
  readonly method: MergeMethod;
  /** Sorted by name; an empty version means stable. */
  readonly parents: readonly { readonly name: string; readonly version: string }[];
  /** Defaults filled in. */
  readonly parameters: MergeParameters;
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
  const method = mergeMethod(wish.method);
  const parameters = parseMergeParameters(method, wish.parameters);
  const violations: FieldViolation[] = [];
  const say = (field: string, description: string) => violations.push({ field, description });
  const seen = new Set<string>();
  wish.parents.forEach(({ expert, version, weight }, index) => {
    const field = `recipe.parents[${index}]`;
    if (!NAME.test(expert))
      say(`${field}.expert`, 'must be the name of an expert: lower-case letters, digits and hyphens');
    else if (seen.has(expert)) say(`${field}.expert`, `names ${expert} again; each parent may be named once`);
    seen.add(expert);
    if (!VERSION.test(version))
      say(`${field}.version`, 'must be a version such as "1", or empty for the stable one');
    if (!method.takesWeights && weight !== 0)
      say(`${field}.weight`, `must be 0: ${method.name} finds the weights itself`);
  });
  const { minParents, maxParents } = method;
  if (wish.parents.length < minParents || wish.parents.length > maxParents)
    say(
      'recipe.parents',
      `names ${wish.parents.length} parents; ${method.name} takes ${minParents} to ${maxParents}`,
    );
  if (wish.name !== '' && !NAME.test(wish.name))
    say('recipe.name', 'must be 1 to 63 lower-case letters, digits or hyphens');
  if (seen.has(wish.name)) say('recipe.name', 'is that of a parent; choose another');
  if (wish.seed > BigInt(Number.MAX_SAFE_INTEGER))
    say('recipe.seed', `must be at most ${Number.MAX_SAFE_INTEGER}`);
  if (violations.length > 0) throw invalid(violations);
  const parents = wish.parents
    .map(({ expert, version }) => ({ name: expert, version }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return { method, parents, parameters, seed: Number(wish.seed), name: wish.name };
}

/**
 * The one text of everything that decides what a recipe makes, parents by the digests of their manifests. Equal recipes
 * have equal texts, whatever the order of parents and parameters.
 */
export function canonicalRecipe(recipe: Recipe, parents: readonly PinnedParent[]): string {
  const parameters = Object.entries(recipe.parameters).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({
    method: recipe.method.name,
    name: recipe.name,
    parameters: Object.fromEntries(parameters),
    parents: parents
      .map(({ name, version, digest }) => ({ digest, name, version }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    seed: recipe.seed,
  });
}

/** Identity of a composition. */
export function recipeDigest(canonical: string): Digest {
  return digestOf(canonical);
}

/** Name of the expert that a recipe makes. */
export function expertNameOf(recipe: Recipe, digest: Digest): string {
  return recipe.name || `${recipe.method.name}-${digest.slice('sha256:'.length, 'sha256:'.length + 12)}`;
}

function invalid(violations: readonly FieldViolation[]): ThalamusError {
  const list = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  return new ThalamusError('REQUEST_INVALID', `The recipe is not valid: ${list}.`, { violations });
}
