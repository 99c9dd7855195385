import type { MessageInitShape } from '@bufbuild/protobuf';
import type { composerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { readPrompts } from './prompt-files.js';
import { readRecipeText, recipeAmong } from './recipe-file.js';

/** A recipe as the composer takes it. */
export type Recipe = MessageInitShape<typeof composerV1.RecipeSchema>;

/** What the command line says of a recipe besides its parents. */
export interface RecipeWords {
  readonly method: string;
  readonly name?: string;
  readonly seed: number;
  readonly parameter?: readonly string[];
  /** Files of texts without labels that the router is fitted on. */
  readonly prompts: readonly string[];
}

/** The recipe of a file, which the composer reads, or of the words of the command line. @throws CONFIG_INVALID */
export function recipeOf(given: readonly string[], options: RecipeWords): Recipe {
  const file = recipeAmong(given);
  const prompts = readPrompts(options.prompts);
  const wishes = { name: options.name ?? '', seed: BigInt(options.seed), prompts };
  return file === undefined
    ? { ...wishes, ...wordsOf(given, options) }
    : { ...wishes, document: readRecipeText(file) };
}

function wordsOf(parents: readonly string[], options: RecipeWords): Recipe {
  if (parents.length < 2)
    throw new ThalamusError(
      'CONFIG_INVALID',
      'Name two or more experts; "thalamus experts list" shows them. A recipe is a file that ends in .yaml or .yml.',
    );
  return {
    method: options.method,
    parents: parents.map(parentOf),
    parameters: Object.fromEntries((options.parameter ?? []).map(parameterOf)),
  };
}

/** `name` or `name@version`. */
function parentOf(text: string): { expert: string; version: string } {
  const [expert = '', version = '', ...more] = text.split('@');
  if (more.length > 0 || expert === '' || (version === '' && text.includes('@')))
    throw new ThalamusError('CONFIG_INVALID', `"${text}" is no parent; write an expert, or expert@version.`);
  return { expert, version };
}

/** `name=value`. */
function parameterOf(text: string): [string, number] {
  const [name = '', value = '', ...more] = text.split('=');
  const number = Number(value);
  if (more.length > 0 || name === '' || value.trim() === '' || Number.isNaN(number))
    throw new ThalamusError(
      'CONFIG_INVALID',
      `"${text}" is no parameter; write name=number, such as router_l2=0.001.`,
    );
  return [name, number];
}
