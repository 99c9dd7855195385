import { describe, expect, it } from 'vitest';
import { decodeBody, encodeBody } from './content-coding.js';

const body = Buffer.from('thalamus '.repeat(500));

describe('codings of bodies', () => {
  it.each([
    ['gzip', 'gzip'],
    ['deflate', 'deflate'],
    ['br, deflate;q=0.5, gzip;q=0.1', 'gzip'],
    ['gzip;q=0, deflate', 'deflate'],
    ['br', undefined],
    [undefined, undefined],
  ] as const)('Accept-Encoding %s is answered in %s, which decodes to the same', async (accept, coding) => {
    const encoded = await encodeBody(body, accept);
    expect(encoded.coding).toBe(coding);
    expect(Buffer.from(await decodeBody(encoded.body, coding, body.byteLength)).equals(body)).toBe(true);
    if (coding) expect(encoded.body.byteLength).toBeLessThan(body.byteLength / 10);
  });

  it('a body of a few bytes is sent as it is', async () => {
    expect((await encodeBody(Buffer.from('few'), 'gzip')).coding).toBeUndefined();
  });

  it('a body that decodes to more than is taken is refused', async () => {
    const { body: coded } = await encodeBody(body, 'gzip');
    await expect(decodeBody(coded, 'gzip', body.byteLength - 1)).rejects.toMatchObject({
      code: 'REQUEST_TOO_LARGE',
    });
    await expect(decodeBody(coded, 'deflate', 1e6)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await expect(decodeBody(coded, 'zstd', 1e6)).rejects.toMatchObject({ code: 'MEDIA_TYPE_UNSUPPORTED' });
  });
});
