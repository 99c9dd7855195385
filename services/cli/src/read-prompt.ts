import { ThalamusError } from '@thalamus/errors';

/** Prompts beyond this are refused before they are sent; the gateway's own limit is lower, and says so itself. */
const MAX_BYTES = 8 * 2 ** 20;

/** The prompt of the command line, or standard input for `-`. @throws REQUEST_INVALID, REQUEST_TOO_LARGE */
export async function readPrompt(
  argument: string,
  input: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean } = process.stdin,
): Promise<string> {
  if (argument !== '-') return argument;
  if (input.isTTY === true) process.stderr.write('Type the prompt; Ctrl-D on a new line ends it.\n');
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of input) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > MAX_BYTES)
      throw new ThalamusError(
        'REQUEST_TOO_LARGE',
        `The prompt on standard input is larger than ${MAX_BYTES / 2 ** 20} MiB; send less.`,
      );
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)).trimEnd();
  } catch (cause) {
    throw new ThalamusError(
      'REQUEST_INVALID',
      'The prompt on standard input is not UTF-8 text; convert it first, for example with iconv.',
      { cause },
    );
  }
}
