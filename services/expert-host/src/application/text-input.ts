import { ThalamusError } from '@thalamus/errors';
import type { Tensor } from '@thalamus/tensor';
import type { ExpertValue } from './served-expert.js';

/** The one input of every text expert. */
export const TEXT_INPUT: ExpertValue = { name: 'text', datatype: 'BYTES', shape: [-1] };

/** Largest text, in UTF-16 units. */
export const MAX_TEXT_LENGTH = 1_048_576;
/** Most texts of one request. */
export const MAX_TEXTS = 256;

/** The texts of a request: the one input `text`, BYTES of shape [n] or [n, 1]. @throws TENSOR_INVALID */
export function textsOf(inputs: ReadonlyMap<string, Tensor>): readonly string[] {
  const others = [...inputs.keys()].filter((name) => name !== 'text');
  if (others.length > 0)
    throw invalidInput(others[0] as string, 'is unknown; text experts take the one input "text"');
  const input = inputs.get('text');
  if (input?.dtype !== 'string')
    throw invalidInput(
      'text',
      input ? `must be BYTES, but is ${input.dtype}` : 'is missing; send BYTES of shape [n]',
    );
  const [count = 0, width = 1] = input.shape;
  if (input.shape.length < 1 || input.shape.length > 2 || width !== 1)
    throw invalidInput('text', `must have the shape [n] or [n, 1], but has [${input.shape.join(', ')}]`);
  if (count < 1 || count > MAX_TEXTS)
    throw invalidInput('text', `holds ${count} texts; 1 to ${MAX_TEXTS} are taken`);
  input.data.forEach((text, index) => {
    if (text.trim() === '') throw invalidInput('text', `element ${index} is empty`);
    if (text.length > MAX_TEXT_LENGTH) {
      throw new ThalamusError(
        'REQUEST_TOO_LARGE',
        `Text ${index} has ${text.length} characters; at most ${MAX_TEXT_LENGTH} are taken.`,
      );
    }
  });
  return input.data;
}

/** The refusal of an input. */
export function invalidInput(field: string, reason: string): ThalamusError {
  return new ThalamusError('TENSOR_INVALID', `Input ${field} ${reason}.`, {
    violations: [{ field, description: reason }],
  });
}
