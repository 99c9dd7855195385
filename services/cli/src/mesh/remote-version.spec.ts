import { digestOf, encodeManifest, openBundle, parseExpertManifest } from '@thalamus/bundle';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ExpertManifest } from '@thalamus/bundle';
import { remoteVersionAt, type KnownVersion, type RemoteVersion } from './remote-version.js';
import { readZoo, zooFolder } from './zoo-index.js';

let shipped: ExpertManifest;
let shippedUrl: string;
beforeAll(async () => {
  const [first] = readZoo(zooFolder()).fleet.experts;
  ({ manifest: shipped } = await openBundle(join(zooFolder(), first?.folder ?? '')));
  shippedUrl = shipped.upstream?.baseUrl ?? '';
});

const ELSEWHERE = 'http://127.0.0.1:9999/v1';
const known = ({ version, digest }: RemoteVersion): KnownVersion => ({ version, manifestDigest: digest });

describe('the version of a remote expert at an address', () => {
  it('is the shipped one, byte for byte, where the shipped address holds', () => {
    const found = remoteVersionAt(shipped, shippedUrl, []);
    expect(found).toMatchObject({ version: shipped.version, isRegistered: false });
    expect(found.digest).toBe(readZoo(zooFolder()).fleet.experts[0]?.digest);
  });

  it('is the next one elsewhere, with nothing but number and address changed', () => {
    const found = remoteVersionAt(shipped, ELSEWHERE, []);
    expect(found.version).toBe(String(Number(shipped.version) + 1));
    const { version, upstream, ...rest } = parseExpertManifest(found.manifest, 'manifest');
    expect(version).toBe(found.version);
    expect(upstream).toEqual({ ...shipped.upstream, baseUrl: ELSEWHERE });
    expect(shipped).toMatchObject(rest);
    expect(digestOf(found.manifest)).toBe(found.digest);
  });

  it('is found again when an address comes back', () => {
    const first = remoteVersionAt(shipped, shippedUrl, []);
    const second = remoteVersionAt(shipped, ELSEWHERE, [known(first)]);
    const both = [known(first), known(second)];
    expect(remoteVersionAt(shipped, shippedUrl, both)).toMatchObject({ version: '1', isRegistered: true });
    expect(remoteVersionAt(shipped, ELSEWHERE, both)).toMatchObject({ version: '2', isRegistered: true });
  });

  it('never takes a number that somebody else has used', () => {
    const other = {
      version: shipped.version,
      manifestDigest: digestOf(encodeManifest({ ...shipped, licence: 'MIT' })),
    };
    expect(remoteVersionAt(shipped, shippedUrl, [other])).toMatchObject({
      version: '2',
      isRegistered: false,
    });
    const far = { ...other, version: '41' };
    expect(remoteVersionAt(shipped, ELSEWHERE, [far]).version).toBe('42');
  });
});
