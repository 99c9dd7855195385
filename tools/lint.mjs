// Every check of form, one line each; all run even when one fails. `npm run lint`.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => join(root, 'node_modules/.bin', name);
const node = existsSync(join(root, 'node_modules/node/bin/node'))
  ? join(root, 'node_modules/node/bin/node')
  : process.execPath;

const checks = [
  // The boundary rule reads Nx's graph of projects; without one it would skip itself.
  ['project graph', bin('nx'), ['show', 'projects']],
  // Everything compiles, and the checks that read built code read the code as it is.
  ['types', node, [join(root, 'tools/build.mjs')]],
  [
    'types of tests',
    node,
    [join(root, 'node_modules/typescript/bin/tsc'), '--project', 'tsconfig.tests.json'],
  ],
  // The console runs in a browser: it has types of its own.
  [
    'types of the console',
    node,
    [join(root, 'node_modules/typescript/bin/tsc'), '--project', 'services/console/tsconfig.json'],
  ],
  ['format', bin('prettier'), ['--check', '--log-level', 'warn', '.']],
  [
    'eslint',
    node,
    [
      join(root, 'node_modules/eslint/bin/eslint.js'),
      '.',
      '--max-warnings',
      '0',
      '--cache',
      '--cache-location',
      'node_modules/.cache/eslint/',
    ],
  ],
  [
    'layers',
    node,
    [
      join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs'),
      'libs',
      'services',
      '--config',
      '.dependency-cruiser.mjs',
      '--output-type',
      'err',
    ],
  ],
  ['proto style', bin('buf'), ['lint']],
  ['proto compatibility', bin('buf'), ['breaking', '--against', 'proto/baseline.binpb']],
  ['generated code', node, [join(root, 'tools/generate.mjs'), '--check']],
  ['generated pages', node, [join(root, 'tools/generate-docs.mjs'), '--check']],
  ['chart', node, [join(root, 'tools/helm/check.mjs')]],
];
let failed = 0;
for (const [name, command, args] of checks) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: {
      ...process.env,
      NX_DAEMON: 'false',
      PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}`,
    },
  });
  const ok = result.status === 0;
  if (!ok) failed += 1;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}`);
  if (!ok) console.log(`${result.stdout ?? ''}${result.stderr ?? ''}`.trim().replaceAll(/^/gm, '     '));
}
process.exit(failed === 0 ? 0 : 1);
