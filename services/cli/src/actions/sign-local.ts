import { addSignature, openBundle, readSigningKey, signDigest } from '@thalamus/bundle';
import { createOutput } from '../output.js';

/** Options of `experts sign`. */
export interface SignOptions {
  readonly key: string;
  readonly json: boolean;
}

/** Checks a bundle and signs the digest of its manifest. @throws BUNDLE_INVALID, CONFIG_INVALID for the key */
export async function signLocal(folder: string, options: SignOptions): Promise<void> {
  const { key, keyId } = readSigningKey(options.key);
  const { digest, folder: path, manifest } = await openBundle(folder);
  await addSignature(path, digest, signDigest(digest, key, keyId));
  const { name, version } = manifest;
  createOutput(options.json).answer({ expert: name, version, folder: path, digest, keyId }, () => [
    `${path}: ${name}@${version} (${digest}) is signed by ${keyId}.`,
    `  npx thalamus experts add ${folder}        # to a running mesh`,
  ]);
}
