import { readRecipe, type Recipe, type RecipeWishes } from '@thalamus/composition';
import { ThalamusError } from '@thalamus/errors';
import { readFileSync } from 'node:fs';

/** Whether an argument names a recipe and not an expert. */
export function isRecipeFile(text: string): boolean {
  return /\.ya?ml$/i.test(text);
}

/** The one recipe of the arguments; undefined when they name experts. @throws CONFIG_INVALID for a recipe beside anything else */
export function recipeAmong(given: readonly string[]): string | undefined {
  const recipe = given.find(isRecipeFile);
  if (recipe === undefined || given.length === 1) return recipe;
  throw new ThalamusError(
    'CONFIG_INVALID',
    `${recipe} is a recipe, which names its parents itself; leave the other arguments away, or name experts alone.`,
  );
}

/** Text of a recipe. @throws CONFIG_INVALID that names the file */
export function readRecipeText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new ThalamusError('CONFIG_INVALID', `${path} cannot be read (${code}); name a recipe in YAML.`, {
      cause,
    });
  }
}

/** A checked recipe. @throws CONFIG_INVALID, REQUEST_INVALID with file, line and field of every fault, METHOD_UNSUPPORTED */
export function readRecipeFile(path: string, wishes: RecipeWishes): Recipe {
  const text = readRecipeText(path);
  try {
    return readRecipe(text, wishes);
  } catch (fault) {
    if (!ThalamusError.is(fault) || fault.code !== 'REQUEST_INVALID') throw fault;
    const { code, message, violations } = fault;
    throw new ThalamusError(code, `${path}: ${message}`, { violations, cause: fault });
  }
}
