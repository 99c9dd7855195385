import { ThalamusError } from '@thalamus/errors';
import { mkdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sampleFiles, sampleManifest, temporaryFolder } from '../test/sample-bundle.js';
import { digestOf } from './digest.js';
import { bundleDigest, openBundle } from './open-bundle.js';
import { writeBundle } from './write-bundle.js';

/** A sound bundle in a folder of its own. */
async function soundBundle(): Promise<string> {
  const folder = join(await temporaryFolder(), 'sample');
  await writeBundle(folder, sampleManifest(), sampleFiles());
  return folder;
}

const HEAD = 'head.safetensors';

/** What is said of a bundle that was changed after it had been written. */
async function refusal(change: (folder: string) => Promise<void>, maxTotalBytes?: number): Promise<string> {
  const folder = await soundBundle();
  await change(folder);
  try {
    await openBundle(folder, maxTotalBytes === undefined ? {} : { maxTotalBytes });
  } catch (error) {
    if (ThalamusError.is(error) && error.code === 'BUNDLE_INVALID') return error.message;
    throw error;
  }
  throw new Error('the bundle was opened');
}

/** Edits the manifest as text, so that it may become anything. */
const editManifest = (edit: (text: string) => string) => async (folder: string) => {
  const path = join(folder, 'expert.json');
  await writeFile(path, edit(await readFile(path, 'utf8')));
};

describe('openBundle', () => {
  it('opens what was written, byte for byte', async () => {
    const folder = await soundBundle();
    const bundle = await openBundle(folder);
    const files = sampleFiles();
    expect(bundle.manifest).toMatchObject(sampleManifest());
    expect(bundle.digest).toBe(digestOf(await readFile(join(folder, 'expert.json'))));
    expect(await bundleDigest(folder)).toBe(bundle.digest);
    expect(bundle.sizeBytes).toBe(Object.values(files).reduce((sum, { byteLength }) => sum + byteLength, 0));
    expect(bundle.has(HEAD)).toBe(true);
    expect(Buffer.compare(await bundle.readFile(HEAD), files[HEAD]!)).toBe(0);
    expect(bundle.filePath('notes/origin.txt')).toBe(join(bundle.folder, 'notes/origin.txt'));
  });

  it('hands out listed files only', async () => {
    const bundle = await openBundle(await soundBundle());
    expect(bundle.has('expert.json')).toBe(false);
    for (const path of ['expert.json', '../sample/expert.json', '/etc/passwd']) {
      expect(() => bundle.filePath(path)).toThrow('is not listed');
      await expect(bundle.readFile(path)).rejects.toThrow('is not listed');
    }
  });

  it('notices a file that changes between opening and reading', async () => {
    const bundle = await openBundle(await soundBundle());
    await writeFile(bundle.filePath(HEAD), 'other');
    await expect(bundle.readFile(HEAD)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
  });

  it('refuses one flipped bit, anywhere', async () => {
    for (const at of [0, 100, 699_999]) {
      const message = await refusal(async (folder) => {
        const path = join(folder, 'notes/origin.txt');
        const bytes = await readFile(path);
        bytes[at]! ^= 1;
        await writeFile(path, bytes);
      });
      expect(message).toContain('notes/origin.txt has sha256');
    }
  });

  it('refuses a file that is cut, longer, missing, a folder, or was put there', async () => {
    expect(await refusal((folder) => truncate(join(folder, HEAD), 20))).toContain('has 20 bytes where');
    expect(await refusal((folder) => writeFile(join(folder, HEAD), 'x'.repeat(10), { flag: 'a' }))).toContain(
      'bytes where the manifest says',
    );
    expect(await refusal((folder) => rm(join(folder, HEAD)))).toContain(
      `${HEAD} is listed but cannot be read`,
    );
    expect(
      await refusal(async (folder) => {
        await rm(join(folder, HEAD));
        await mkdir(join(folder, HEAD));
      }),
    ).toContain(`${HEAD} is not listed`);
    expect(await refusal((folder) => writeFile(join(folder, 'extra.onnx'), ''))).toContain(
      'extra.onnx is not listed',
    );
    expect(await refusal((folder) => writeFile(join(folder, 'notes/.hidden'), ''))).toContain(
      'notes/.hidden',
    );
    expect(await refusal((folder) => mkdir(join(folder, 'empty')))).toContain('empty is not listed');
  });

  it('refuses a folder that is none, or no bundle, and says what to do', async () => {
    const nowhere = join(await temporaryFolder(), 'nowhere');
    await expect(openBundle(nowhere)).rejects.toThrow(`there is no ${nowhere}; give the folder of a bundle`);
    expect(await refusal((folder) => rm(join(folder, 'expert.json')))).toMatch(
      /expert\.json is missing \(ENOENT\), so .* is no bundle; "thalamus experts import" makes one/,
    );
  });

  it('refuses links: to a file outside, to a listed file, of a folder, of the manifest', async () => {
    const linked = (path: string, target: (folder: string) => string) => async (folder: string) => {
      await rename(join(folder, path), join(dirname(folder), 'moved'));
      await symlink(target(folder), join(folder, path));
    };
    const moved = (folder: string) => join(dirname(folder), 'moved');
    expect(await refusal(linked(HEAD, moved))).toContain(`${HEAD} is a link`);
    expect(await refusal(linked(HEAD, () => '../moved'))).toContain(`${HEAD} is a link`);
    expect(await refusal(linked('notes', moved))).toContain('notes is a link');
    expect(await refusal(linked('expert.json', moved))).toContain('expert.json is not a plain file');
    expect(await refusal((folder) => symlink('/etc/passwd', join(folder, 'extra')))).toContain(
      'extra is a link',
    );
  });

  it.each([
    ['climbs out', '../head.safetensors'],
    ['climbs out in the middle', 'notes/../../head.safetensors'],
    ['is absolute', '/etc/passwd'],
    ['has a drive', 'C:/head.safetensors'],
    ['has backslashes', 'notes\\\\head.safetensors'],
    ['has a NUL', 'head\\u0000.safetensors'],
    ['is a dot', '.'],
    ['is empty', ''],
    ['has an empty name in it', 'notes//head.safetensors'],
    ['is deep', 'a/b/c/d/e'],
  ])('refuses a path that %s', async (_, path) => {
    expect(await refusal(editManifest((text) => text.replace('"head.safetensors"', `"${path}"`)))).toMatch(
      /files\.\d\.path must be a relative path/,
    );
  });

  it('refuses paths that differ by case only, and a manifest that lists itself', async () => {
    expect(
      await refusal(editManifest((text) => text.replace('notes/origin.txt', 'HEAD.safetensors'))),
    ).toContain('is listed twice');
    expect(await refusal(editManifest((text) => text.replace('notes/origin.txt', 'expert.json')))).toContain(
      'cannot list itself',
    );
  });

  it('refuses a manifest that is missing, cut short, not UTF-8 or too large', async () => {
    expect(await refusal((folder) => rm(join(folder, 'expert.json')))).toContain('ENOENT');
    expect(await refusal((folder) => truncate(join(folder, 'expert.json'), 50))).toContain(
      'is not JSON in UTF-8',
    );
    expect(
      await refusal((folder) => writeFile(join(folder, 'expert.json'), Uint8Array.of(0x22, 0xff, 0x22))),
    ).toContain('is not JSON in UTF-8');
    expect(await refusal(editManifest((text) => text + ' '.repeat(2 ** 20)))).toContain(
      'is larger than 1048576',
    );
  });

  it('refuses more bytes in all than allowed, before it reads them', async () => {
    const message = await refusal((folder) => rm(join(folder, HEAD)), 1_000);
    expect(message).toContain('more than the limit of 1000');
  });

  it('refuses a folder that is not there', async () => {
    await expect(openBundle(join(await temporaryFolder(), 'nowhere'))).rejects.toMatchObject({
      code: 'BUNDLE_INVALID',
      violations: [{ field: 'expert.json' }],
    });
  });
});

describe('writeBundle', () => {
  it('gives equal bundles equal digests, whatever the order of fields', async () => {
    const root = await temporaryFolder();
    const manifest = sampleManifest();
    const reversed = Object.fromEntries(Object.entries(manifest).reverse()) as typeof manifest;
    const first = await writeBundle(join(root, 'a'), manifest, sampleFiles());
    const second = await writeBundle(join(root, 'b'), reversed, sampleFiles());
    expect(second.digest).toBe(first.digest);
  });

  it('replaces what stands there, and leaves it when the new one is refused', async () => {
    const folder = await soundBundle();
    const before = await bundleDigest(folder);
    const broken = () => writeBundle(folder, sampleManifest({ labels: ['one', 'one'] }), sampleFiles());
    await expect(Promise.resolve().then(broken)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    expect((await openBundle(folder)).digest).toBe(before);
    const { digest } = await writeBundle(folder, sampleManifest({ version: '2' }), sampleFiles());
    expect((await openBundle(folder)).digest).toBe(digest);
    expect(digest).not.toBe(before);
  });

  it('refuses to write outside of its folder', async () => {
    const folder = join(await temporaryFolder(), 'sample');
    const write = () =>
      writeBundle(folder, sampleManifest(), { ...sampleFiles(), '../outside': new Uint8Array(1) });
    await expect(Promise.resolve().then(write)).rejects.toThrow('"../outside" is not a plain relative path');
  });
});
