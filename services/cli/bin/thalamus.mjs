#!/usr/bin/env node
// Runs the command line on the pinned Node: with another one it starts itself again there, or says how to get it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const WANTED = 24;
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const major = Number(process.versions.node.split('.')[0]);

if (!existsSync(main)) {
  process.stderr.write('thalamus is not built yet: run "npm ci" or "npm run build" in the repository.\n');
  process.exit(1);
} else if (major === WANTED) {
  await import(main);
} else {
  const node = pinnedNode();
  if (node === undefined) {
    process.stderr.write(
      `thalamus needs Node ${WANTED}, this is ${process.version}, and the pinned one is not installed: run "npm ci" in the repository.\n`,
    );
    process.exit(1);
  } else {
    const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
      stdio: 'inherit',
    });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('exit', (code, signal) => process.exit(signal ? 130 : (code ?? 1)));
  }
}

function pinnedNode() {
  try {
    const path = createRequire(import.meta.url).resolve('node/bin/node');
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}
