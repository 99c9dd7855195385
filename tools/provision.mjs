// Checks what the tests need and gets what is missing: what is there, then Docker, then the system's package manager when it
// runs as root. What it cannot get it names, with the one command to run, and fails: nothing is skipped.
//   node tools/provision.mjs          everything, for `npm test`
//   node tools/provision.mjs kafka    the Kafka broker alone; the last line of stdout says as JSON how to start it
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { provisionKafka } from './provision-kafka.mjs';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

class Missing extends Error {}

function pinnedNode() {
  if (!existsSync(at('node_modules/node/bin/node')))
    throw new Missing('the pinned Node 24 is not installed: run "npm ci"');
}

/** Tests read sources, but child processes and worker threads run compiled code: it must be that of the sources. */
function builtCode() {
  const { status } = spawnSync(process.execPath, [at('tools/build.mjs')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) throw new Missing('the build fails: run "npm run build" and mend what it says');
}

try {
  if (process.argv[2] === 'kafka') {
    console.log(JSON.stringify(provisionKafka(at('.'))));
  } else {
    pinnedNode();
    builtCode();
    const kafka = provisionKafka(at('.'));
    console.log(`Kafka for the tests: ${kafka.summary}`);
  }
} catch (fault) {
  console.error(`cannot test: ${fault.message}`);
  process.exit(1);
}
