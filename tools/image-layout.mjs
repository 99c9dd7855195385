// Lays out what the container image holds: built services and libraries, their production dependencies, the console, the
// entry point. `node tools/image-layout.mjs DIR`; DIR must not exist or be empty.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = process.argv[2];
if (target === undefined) {
  console.error('Name the folder to fill: node tools/image-layout.mjs DIR');
  process.exit(2);
}
if (existsSync(target) && readdirSync(target).length > 0) {
  console.error(`${target} is not empty; name a new folder.`);
  process.exit(2);
}
/** Not in the image: people run the command line from a checkout, and the replay upstream is a demo. */
const LEFT_OUT = new Set(['cli', 'replay']);

mkdirSync(target, { recursive: true });
for (const file of ['package.json', 'package-lock.json', '.npmrc', 'e2e/package.json'])
  cpSync(join(root, file), join(target, file));
for (const group of ['libs', 'services']) {
  for (const name of readdirSync(join(root, group))) {
    const from = join(root, group, name);
    if (!existsSync(join(from, 'package.json'))) continue;
    const to = join(target, group, name);
    cpSync(join(from, 'package.json'), join(to, 'package.json'));
    if (group === 'services' && LEFT_OUT.has(name)) continue;
    if (existsSync(join(from, 'dist')))
      cpSync(join(from, 'dist'), join(to, 'dist'), {
        recursive: true,
        filter: (path) => !/\.(map|tsbuildinfo|d\.ts)$/.test(path),
      });
  }
}
cpSync(join(root, 'tools/image-start.mjs'), join(target, 'start.mjs'));
const services = readdirSync(join(target, 'services')).filter((name) =>
  existsSync(join(target, 'services', name, 'dist/main.js')),
);
const workspaces = services.flatMap((name) => ['-w', `services/${name}`]);
execFileSync(
  'npm',
  ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...workspaces],
  { cwd: target, stdio: 'inherit' },
);
pruneRuntimes();
rmSync(join(target, 'e2e'), { recursive: true, force: true });

/** ONNX Runtime brings libraries for every platform; the image needs those of its own. */
function pruneRuntimes() {
  const bin = join(target, 'node_modules/onnxruntime-node/bin');
  if (!existsSync(bin)) return;
  for (const abi of readdirSync(bin)) {
    for (const platform of readdirSync(join(bin, abi))) {
      if (platform !== process.platform) rmSync(join(bin, abi, platform), { recursive: true });
      else
        for (const arch of readdirSync(join(bin, abi, platform)))
          if (arch !== process.arch) rmSync(join(bin, abi, platform, arch), { recursive: true });
    }
  }
}
console.log(`image layout in ${target}: ${services.join(', ')}`);
