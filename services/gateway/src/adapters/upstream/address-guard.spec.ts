import { describe, expect, it } from 'vitest';
import { AddressGuard, isPublic } from './address-guard.js';
import { readKey } from './read-key.js';

describe('isPublic', () => {
  it.each(['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111'])('takes %s', (address) => {
    expect(isPublic(address)).toBe(true);
  });
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '::1',
    'fc00::1',
    'fe80::1',
    '::ffff:10.0.0.1',
    'not an address',
  ])('refuses %s', (address) => {
    expect(isPublic(address)).toBe(false);
  });
});

describe('AddressGuard', () => {
  it.each(['ftp://example.com', 'file:///etc/passwd', 'http://user:pass@example.com'])(
    'refuses %s',
    (url) => {
      expect(() => {
        new AddressGuard([]).check(new URL(url));
      }).toThrow();
    },
  );
  it.each(['http://[::1]/v1', 'http://127.1/v1', 'http://0x7f000001/v1', 'http://2130706433/v1'])(
    'sees a private address through %s',
    (url) => {
      expect(() => {
        new AddressGuard([]).check(new URL(url));
      }).toThrow(/not public/);
    },
  );
  it('lets exceptions pass, by host or by host and port', () => {
    for (const allowed of ['127.0.0.1', '127.0.0.1:9000'])
      expect(() => {
        new AddressGuard([allowed]).check(new URL('http://127.0.0.1:9000/v1'));
      }).not.toThrow();
    expect(() => {
      new AddressGuard(['127.0.0.1:9000']).check(new URL('http://127.0.0.1:9001/v1'));
    }).toThrow(/not public/);
  });
});

describe('readKey', () => {
  const environment = { OPENAI_API_KEY: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
  it('reads variables that are keys of APIs, and no others', () => {
    expect(readKey('env:OPENAI_API_KEY', '/nowhere', environment)).toBe('a');
    expect(readKey('env:AWS_SECRET_ACCESS_KEY', '/nowhere', environment)).toBeUndefined();
  });
  it.each(['file:../etc/passwd', 'file:/etc/passwd', 'file:..', 'file:missing', 'OPENAI_API_KEY', ''])(
    'gives nothing for %s',
    (reference) => {
      expect(readKey(reference, '/nowhere', environment)).toBeUndefined();
    },
  );
});
