import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The compiled script of a process, by its place in these sources; tests that run from sources use the last build. */
export function childScript(name: string): string {
  const beside = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL(`../dist/${name}.js`, import.meta.url));
}
