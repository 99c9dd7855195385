// Derives every committed figure, digest and split of the zoo again. Ends with exit code 1 when one does not hold.
//   npm run zoo:verify                   the committed files, and every expert measured on its committed sample
//   npm run zoo:verify -- --data DIR     and against the data: DIR holds <set>.train.csv, <set>.test.csv, clinc_oos.csv
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openBase } from './embeddings.mjs';
import { openExperts, readOutOfScope, readParts } from './router/measure.mjs';
import { checkExperts, checkLosses, checkRouter } from './verify/check-figures.mjs';
import { checkLeaks, checkLossRows, checkSampleFiles, readData } from './verify/check-data.mjs';
import { checkCommitted } from './verify/check-index.mjs';
import { checkSampleFigures } from './verify/check-samples.mjs';
import { Report } from './verify/report.mjs';
import { TASKS } from './tasks.mjs';

const ZOO = 'zoo';

/** Arguments, or a message for what is wrong with them. */
function readArguments() {
  const usage = 'npm run zoo:verify -- [--data DIR] [--tolerance 0.002]';
  try {
    const { values } = parseArgs({
      options: { data: { type: 'string' }, tolerance: { type: 'string', default: '0.002' } },
    });
    const tolerance = Number(values.tolerance);
    if (!(tolerance >= 0 && tolerance < 1))
      return { fault: `--tolerance is a number from 0 to 1, not "${values.tolerance}".` };
    const files = TASKS.flatMap(({ set }) => [`${set}.train.csv`, `${set}.test.csv`]).concat('clinc_oos.csv');
    const missing =
      values.data === undefined ? [] : files.filter((file) => !existsSync(join(values.data, file)));
    if (missing.length > 0)
      return {
        fault: `${values.data} lacks ${missing.join(', ')}; zoo/README.md says where they come from.`,
      };
    return { data: values.data, tolerance };
  } catch (error) {
    return { fault: `${error.message}\nUsage: ${usage}` };
  }
}

async function checkAgainstData({ data: folder, tolerance }, opened, report) {
  const data = readData(folder, ZOO);
  checkLeaks(ZOO, data, report);
  checkSampleFiles(ZOO, data, report);
  checkLossRows(ZOO, data, report);
  const base = await openBase(join(ZOO, 'base/minilm-l6'));
  const library = await openExperts(ZOO, base);
  await checkExperts(base, ZOO, data, tolerance, report);
  const parts = await readParts(base, folder, library);
  checkLosses(ZOO, parts, library.experts.length, tolerance, report);
  const outOfScope = await readOutOfScope(base, folder);
  await checkRouter(
    { data: parts, outOfScope, bundle: opened.routers[0], candidates: library.experts.length, tolerance },
    report,
  );
}

const given = readArguments();
if (given.fault !== undefined) {
  console.error(given.fault);
  process.exit(2);
}
const report = new Report();
const opened = await checkCommitted(ZOO, report);
await checkSampleFigures(ZOO, given.tolerance, report);
if (given.data !== undefined) await checkAgainstData(given, opened, report);
console.log(report.text());
const failed = report.checks.filter(({ faults }) => faults.length > 0).length;
if (given.data === undefined)
  console.log(
    'The committed files and samples were checked; --data DIR measures the figures of the manifests again.',
  );
console.log(`${report.checks.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
