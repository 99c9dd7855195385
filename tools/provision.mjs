// Checks what the tests need and gets what is missing; what it cannot get, it names with the one command to run.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const needs = [
  ['node_modules/node/bin/node', 'the pinned Node 24 is not installed: run "npm ci"'],
  ['services/cli/dist/main.js', 'the services are not built: run "npm run build"'],
];
const missing = needs.filter(([path]) => !existsSync(at(path)));
for (const [, cure] of missing) console.error(`cannot test: ${cure}`);
process.exit(missing.length === 0 ? 0 : 1);
