import { ThalamusError } from '@thalamus/errors';

/** What ONNX Runtime and V8 say when they find no memory. */
const SIGNS = /bad_alloc|failed to allocate|allocation failed|out of memory/i;

/** Whether a run or a load found no memory. */
export function isOutOfMemory(error: unknown): error is ThalamusError {
  return (
    ThalamusError.is(error) &&
    (error.code === 'INFERENCE_FAILED' || error.code === 'GRAPH_INVALID') &&
    SIGNS.test(error.message)
  );
}

/** The error of a model that does not fit its process. */
export function noMemoryToLoad(cause: ThalamusError, limitBytes: number | undefined): ThalamusError {
  const limit =
    limitBytes === undefined
      ? 'Free memory of the machine, or serve a smaller model.'
      : `One process may have ${limitBytes} bytes: raise THALAMUS_CHILD_MEMORY_LIMIT, or serve a smaller model.`;
  return new ThalamusError('GRAPH_INVALID', `There is no memory to load the model. ${limit}`, { cause });
}

/**
 * Whether a run failed because sizes overflowed. When that is the first run of a session, ONNX Runtime (1.30) fails every later one
 * with the same words, whatever it is given.
 */
export function hasOverflown(error: unknown): boolean {
  return (
    ThalamusError.is(error) && error.code === 'INFERENCE_FAILED' && /integer overflow/i.test(error.message)
  );
}
