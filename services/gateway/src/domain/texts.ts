import { ThalamusError } from '@thalamus/errors';

/** Longest text of a request, in characters (UTF-16 code units). */
export const MAX_TEXT_CHARACTERS = 262_144;

/** Checks a text that came without a schema of its own. @throws REQUEST_INVALID that names the field, never the text */
export function needText(text: string, field: string): void {
  if (text.trim() === '') throw invalid(field, 'must hold more than white space');
  if (text.length > MAX_TEXT_CHARACTERS)
    throw invalid(field, `must have at most ${MAX_TEXT_CHARACTERS} characters`);
}

/** A fault of one field. */
export function invalid(field: string, description: string): ThalamusError {
  return new ThalamusError('REQUEST_INVALID', `${field}: ${description}.`, {
    violations: [{ field, description }],
  });
}
