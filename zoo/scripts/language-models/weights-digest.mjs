// What a bundle computes, apart from what is told about its training.
import { digestOf } from '@thalamus/bundle';
import { TRAINING_FILES } from '@thalamus/training';

const TOLD = new Set(Object.values(TRAINING_FILES));

/** Identity of the weights of a bundle: kind, task, base and all files but the log and the curve of the training. */
export function weightsDigest({ kind, task, base, files }) {
  const computed = files.filter(({ path }) => !TOLD.has(path)).map(({ path, sha256 }) => [path, sha256]);
  return digestOf(Buffer.from(JSON.stringify([kind, task, base?.digest ?? '', computed])));
}
