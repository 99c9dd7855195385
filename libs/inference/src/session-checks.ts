import { ThalamusError } from '@thalamus/errors';
import type { Feeds, RunOptions, SessionValue } from './inference-runtime.port.js';

/** What every runtime checks before a run. @throws TENSOR_INVALID naming the input, CANCELLED */
export function checkRun(
  inputs: readonly SessionValue[],
  outputs: readonly SessionValue[],
  feeds: Feeds,
  options: RunOptions,
): void {
  if (options.signal?.aborted) throw abortError(options.signal);
  for (const { name, dtype, shape } of inputs) {
    const value = feeds[name];
    if (value === undefined) throw invalid(name, `Input ${name} is missing.`);
    if (dtype !== undefined && dtype !== value.dtype)
      throw invalid(name, `Input ${name} must be ${dtype}, but ${value.dtype} was given.`);
    if (shape !== undefined && !fits(shape, value.shape)) {
      const [wanted, given] = [shape.join(', '), value.shape.join(', ')];
      throw invalid(name, `Input ${name} must have the shape [${wanted}], but [${given}] was given.`);
    }
  }
  const unknownInput = Object.keys(feeds).find((name) => !inputs.some((input) => input.name === name));
  if (unknownInput !== undefined)
    throw invalid(unknownInput, `The model has no input ${unknownInput}; it has ${listed(inputs)}.`);
  const unknownOutput = options.outputs?.find((name) => !outputs.some((output) => output.name === name));
  if (unknownOutput !== undefined)
    throw invalid(unknownOutput, `The model has no output ${unknownOutput}; it has ${listed(outputs)}.`);
}

/** The error of work whose caller has gone: the reason of the signal when it is one of ours, else CANCELLED. */
export function abortError(signal: AbortSignal): ThalamusError {
  const reason: unknown = signal.reason;
  return ThalamusError.is(reason)
    ? reason
    : new ThalamusError('CANCELLED', 'The run was cancelled by its caller.');
}

/** The error of a session that was released, or whose runtime was closed. */
export function sessionGone(): ThalamusError {
  return new ThalamusError(
    'EXPERT_NOT_READY',
    'The model has been unloaded; load it again before running it.',
  );
}

/** A size that the graph fixes must be met; a named one may be anything. A shape without dimensions may mean "unknown". */
function fits(wanted: readonly (number | string)[], given: readonly number[]): boolean {
  if (wanted.length === 0) return true;
  return (
    wanted.length === given.length &&
    wanted.every((size, axis) => typeof size === 'string' || size === given[axis])
  );
}

const listed = (values: readonly SessionValue[]) => values.map(({ name }) => name).join(', ') || 'none';

function invalid(field: string, description: string): ThalamusError {
  return new ThalamusError('TENSOR_INVALID', description, { violations: [{ field, description }] });
}
