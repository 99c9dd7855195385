import { describe, expect, it } from 'vitest';
import { signS3Get } from './sign-s3-request.js';

/** The account, bucket and day of the examples in Amazon's description of Signature Version 4. */
const ACCOUNT = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const WHEN = { region: 'us-east-1', now: new Date('2013-05-24T00:00:00Z') };

describe('signS3Get', () => {
  it.each<[string, string, Record<string, string>, string, string]>([
    [
      'an object, by range',
      'https://examplebucket.s3.amazonaws.com/test.txt',
      { range: 'bytes=0-9' },
      'host;range;x-amz-content-sha256;x-amz-date',
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ],
    [
      'a listing',
      'https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J',
      {},
      'host;x-amz-content-sha256;x-amz-date',
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ],
  ])('signs the published example of %s', (_, url, headers, names, signature) => {
    expect(signS3Get(new URL(url), headers, ACCOUNT, WHEN)['authorization']).toBe(
      `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=${names}, Signature=${signature}`,
    );
  });

  it('signs a session token, and never sends the secret', () => {
    const headers = signS3Get(
      new URL('http://127.0.0.1:9000/b/a b/ü'),
      {},
      { ...ACCOUNT, sessionToken: 't' },
      WHEN,
    );
    expect(headers).toMatchObject({ 'x-amz-security-token': 't', 'x-amz-date': '20130524T000000Z' });
    expect(headers['authorization']).toContain('host;x-amz-content-sha256;x-amz-date;x-amz-security-token');
    expect(JSON.stringify(headers)).not.toContain(ACCOUNT.secretAccessKey);
  });
});
