import { ThalamusError } from '@thalamus/errors';
import { compositionMethod, staticMethod, type RecipeDocument } from '@thalamus/model-merge';
import { twinSettings } from '../recipe-settings.js';

/**
 * Looks at what the task of the parents decides about.
 * @throws REQUEST_INVALID for masked language models with two passes, a shared expert by Fisher weights, or prompts in place of their texts
 */
export function requireParametersFor(
  { document, prompts }: { readonly document: RecipeDocument; readonly prompts: readonly string[] },
  tasks: readonly string[],
): void {
  if (!tasks.includes('fill-mask')) return;
  if (prompts.length > 0)
    throw new ThalamusError(
      'REQUEST_INVALID',
      'The recipe is not valid: prompts are labelled by the answers of classifiers, and these are masked language models; leave them away, and name texts of each domain.',
      { violations: [{ field: 'recipe.prompts', description: 'must be empty for masked language models' }] },
    );
  if (compositionMethod(document.method).chooses !== 'weights') return;
  const { passes, shared } = twinSettings(document);
  if (staticMethod(shared).needsInformation)
    throw refused(
      'shared',
      `is ${shared}, which weighs parameters by the losses of labels, and masked language models have none. Choose another`,
    );
  if (passes !== 1)
    throw refused(
      'passes',
      'is 2, which is for classifiers: the router of masked language models reads tokens alone, and their encoder runs once. Write passes: 1, or leave it out',
    );
}

function refused(parameter: string, reason: string): ThalamusError {
  const field = `parameters.${parameter}`;
  return new ThalamusError('REQUEST_INVALID', `The recipe is not valid: ${field} ${reason}.`, {
    violations: [{ field, description: 'cannot be so for masked language models' }],
  });
}
