import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The pinned Node, which runs services and commands. */
export const NODE = join(ROOT, 'node_modules/node/bin/node');

/** The command line's entry point. */
export const THALAMUS = join(ROOT, 'services/cli/bin/thalamus.mjs');

/** The compiled entry point of a service; undefined while it has none. */
export function serviceMain(service: string): string | undefined {
  const path = join(ROOT, 'services', service, 'dist/main.js');
  return existsSync(path) ? path : undefined;
}

/** A new folder of its own, below the system's folder for temporary files. */
export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `thalamus-e2e-${name}-`));
}
