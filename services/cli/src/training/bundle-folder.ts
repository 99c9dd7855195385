import { EXPERT_MANIFEST } from '@thalamus/bundle';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Whether an argument names a folder and not an expert of a mesh: it holds a path separator, begins with a dot, or is a
 * folder with a manifest. Names of experts never look so.
 */
export function isBundleFolder(text: string): boolean {
  return text.includes('/') || text.startsWith('.') || existsSync(join(text, EXPERT_MANIFEST));
}
