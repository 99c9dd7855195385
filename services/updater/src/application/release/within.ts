import { ThalamusError } from '@thalamus/errors';

/** What work comes to, if it does in time. @throws DEADLINE_EXCEEDED after so many milliseconds */
export async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(late());
    }, ms);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** What is wanted for a decision did not come in time. */
export const late = () =>
  new ThalamusError(
    'DEADLINE_EXCEEDED',
    'What stands on the bus could not be read or stored in time; nothing is decided.',
  );
