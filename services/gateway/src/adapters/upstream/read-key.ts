import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const VARIABLE = /^env:([A-Z][A-Z0-9_]*API_KEY)$/;
const FILE = /^file:([\w.-]+)$/;

/**
 * The key that a reference names: `env:OPENAI_API_KEY` (only names that end in API_KEY: whoever registers an upstream must
 * not be able to have another secret of this process sent to it) or `file:name` inside `folder`. Undefined when it is not
 * there, cannot be read, or is no such reference.
 */
export function readKey(
  reference: string,
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const variable = VARIABLE.exec(reference)?.[1];
  if (variable !== undefined) return environment[variable];
  const file = FILE.exec(reference)?.[1];
  if (file === undefined || file !== basename(file) || file.startsWith('.')) return undefined;
  try {
    return readFileSync(join(folder, file), 'utf8').trim();
  } catch {
    return undefined;
  }
}
