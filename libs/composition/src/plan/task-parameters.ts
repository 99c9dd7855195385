import { ThalamusError } from '@thalamus/errors';
import { compositionMethod, type RecipeDocument } from '@thalamus/model-merge';
import { twinSettings } from '../recipe-settings.js';

/**
 * Looks at the parameters that the task of the parents decides about.
 * @throws REQUEST_INVALID for two passes over masked language models
 */
export function requireParametersFor(document: RecipeDocument, tasks: readonly string[]): void {
  if (!tasks.includes('fill-mask') || compositionMethod(document.method).chooses !== 'weights') return;
  if (twinSettings(document).passes === 1) return;
  throw new ThalamusError(
    'REQUEST_INVALID',
    'The recipe is not valid: parameters.passes is 2, which is for classifiers: the router of masked language models reads tokens alone, and their encoder runs once. Write passes: 1, or leave it out.',
    { violations: [{ field: 'parameters.passes', description: 'must be 1 for masked language models' }] },
  );
}
