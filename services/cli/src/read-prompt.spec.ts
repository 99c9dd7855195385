import { describe, expect, it } from 'vitest';
import { readPrompt } from './read-prompt.js';

async function* stream(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield* chunks;
}

describe('readPrompt', () => {
  it('takes the argument as it is', async () => {
    expect(await readPrompt('  hello ', stream())).toBe('  hello ');
  });

  it('reads standard input for -, characters split over chunks included', async () => {
    const bytes = Buffer.from('Tür auf\n');
    expect(await readPrompt('-', stream(bytes.subarray(0, 2), bytes.subarray(2)))).toBe('Tür auf');
  });

  it('refuses bytes that are no UTF-8', async () => {
    await expect(readPrompt('-', stream(Uint8Array.of(0x68, 0xff)))).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });

  it('stops reading where no prompt can be that long', async () => {
    const megabytes = Array.from({ length: 9 }, () => new Uint8Array(2 ** 20));
    await expect(readPrompt('-', stream(...megabytes))).rejects.toMatchObject({ code: 'REQUEST_TOO_LARGE' });
  });
});
