// Runs every test of every project and ends with one line, `N passed, N failed`. A skipped test counts as failed: it
// proves nothing. Arguments are passed on to vitest, such as a file name.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const node = pinnedNode();
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const folder = mkdtempSync(join(tmpdir(), 'thalamus-test-'));
const report = join(folder, 'report.json');

const { status } = spawnSync(
  node,
  [
    vitest,
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: 'inherit' },
);
const counts = existsSync(report)
  ? count(JSON.parse(readFileSync(report, 'utf8')))
  : { passed: 0, failed: 1 };
rmSync(folder, { recursive: true, force: true });
if (status !== 0 && counts.failed === 0) counts.failed = 1;
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);

function count(results) {
  // A file that could not be loaded has no tests of its own but is a failure.
  const broken = results.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status === 'passed'),
  ).length;
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numPendingTests + results.numTodoTests + broken,
  };
}

function pinnedNode() {
  try {
    return require.resolve('node/bin/node');
  } catch {
    return process.execPath;
  }
}
