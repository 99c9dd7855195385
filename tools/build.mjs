// Builds every project in dependency order, then the console. `npm ci` calls it through `prepare`, so that `npm start` finds
// compiled services and a console to serve; with nothing changed it takes under a second. Arguments go to tsc.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const tsc = join(root, 'node_modules/typescript/bin/tsc');
run(process.execPath, [tsc, '-b', ...process.argv.slice(2)], root);
buildConsole();

function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (error) console.error(error.message);
  if (status !== 0) process.exit(status ?? 1);
}

/** Vite checks no types and has no notion of up to date: a digest of all that goes into the console stands beside what came out. */
function buildConsole() {
  const folder = join(root, 'services/console');
  const stamp = join(folder, 'dist/.sources');
  const digest = digestOf(folder);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  const vite = join(root, 'node_modules/vite/bin/vite.js');
  run(process.execPath, [tsc, '-p', join(folder, 'tsconfig.json')], folder);
  run(pinnedNode(), [vite, 'build', '--logLevel', 'warn'], folder);
  writeFileSync(stamp, digest);
}

function digestOf(folder) {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')));
  const parts = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !/^(dist|node_modules|coverage)\//.test(path.slice(folder.length + 1)))
    .sort();
  for (const path of parts) hash.update(`\n${path.slice(folder.length)}\n`).update(readFileSync(path));
  return hash.digest('hex');
}

/** The Node that services run on: tools of the console need no less. */
function pinnedNode() {
  try {
    return require.resolve('node/bin/node');
  } catch {
    return process.execPath;
  }
}
