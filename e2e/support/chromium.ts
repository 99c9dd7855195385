import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { NODE, ROOT } from './paths.js';

/** Path of the Chromium that browser tests run. @throws Error that names the command which installs it */
export function chromiumBinary(): string {
  const found = spawnSync(NODE, [join(ROOT, 'tools/provision-chromium.mjs')], { encoding: 'utf8' });
  if (found.status !== 0) throw new Error(found.stderr.trim());
  return found.stdout.trim();
}
