// Checks the chart: what is generated is up to date, lint, rendered examples equal to what is committed, manifests against the
// strict schemas of a Kubernetes API server and against the services' own settings, bad values refused, alert rules tested.
//   npm run helm:check              everything
//   npm run helm:check -- --write   renews what is generated first
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { generatedFiles } from '../dashboards/generate.mjs';
import { helmBinary } from '../provision-helm.mjs';
import { promtoolBinary } from '../provision-prometheus.mjs';
import { BAD_VALUES, GOOD_VALUES } from './bad-values.mjs';
import { edgeFaults, schemaFaults, securityFaults, settingsFaults } from './manifests.mjs';
import { withValuesTable } from './values-table.mjs';
import { valuesSchema } from './values-schema.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const chart = join(root, 'helm/thalamus');
const write = process.argv.includes('--write');
const faults = [];

try {
  const helm = helmBinary();
  const promtool = promtoolBinary();
  for (const [file, content] of generatedFiles()) compare(file, content);
  compare(join(chart, 'values.schema.json'), `${JSON.stringify(await valuesSchema(), null, 2)}\n`);
  const readme = join(chart, 'README.md');
  compare(readme, withValuesTable(read(readme), read(join(chart, 'values.yaml'))));
  const examples = readdirSync(join(chart, 'examples'));
  for (const example of examples) await checkExample(helm, example);
  for (const bad of BAD_VALUES) refuse(helm, bad);
  const rules = join(chart, 'alerts/rules.yaml');
  run('promtool check rules', promtool, ['check', 'rules', '--lint=all', '--lint-fatal', rules]);
  run('promtool test rules', promtool, ['test', 'rules', join(chart, 'alerts/rules.test.yaml')]);
  for (const fault of faults) console.error(`FAIL ${fault}`);
  console.log(
    `chart: ${examples.length} examples, ${BAD_VALUES.length} bad values files, ${faults.length} faults`,
  );
} catch (fault) {
  console.error(`cannot check the chart: ${fault.message}`);
  faults.push(fault);
}
process.exit(faults.length === 0 ? 0 : 1);

async function checkExample(helm, example) {
  const values = join(chart, 'examples', example, 'values.yaml');
  run(`helm lint (${example})`, helm, ['lint', '--strict', chart, '-f', values]);
  const rendered = run(`helm template (${example})`, helm, [
    'template',
    'thalamus',
    chart,
    '--namespace',
    'thalamus',
    '-f',
    values,
  ]);
  if (rendered === undefined) return;
  compare(join(chart, 'examples', example, 'rendered.yaml'), rendered);
  const manifests = parseAllDocuments(rendered, { uniqueKeys: true })
    .map((document) => {
      for (const error of document.errors) faults.push(`${example}: ${error.message}`);
      return document.toJS();
    })
    .filter((manifest) => manifest !== null);
  const found = [
    ...schemaFaults(manifests),
    ...(await settingsFaults(manifests)),
    ...securityFaults(manifests),
    ...(await edgeFaults(manifests, parse(read(values)).networkPolicy?.upstreamPorts)),
  ];
  faults.push(...found.map((fault) => `${example}: ${fault}`));
}

function refuse(helm, { fault, values, says }) {
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-values-'));
  try {
    writeFileSync(join(folder, 'good.yaml'), GOOD_VALUES);
    writeFileSync(join(folder, 'bad.yaml'), values);
    const files = ['good.yaml', 'bad.yaml'].flatMap((name) => ['-f', join(folder, name)]);
    const { status, stderr } = spawnSync(helm, ['template', 'bad', chart, ...files], { encoding: 'utf8' });
    if (status === 0) faults.push(`values with ${fault} were accepted`);
    else if (!says.test(stderr))
      faults.push(`values with ${fault} were refused for another reason: ${stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(what, command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    faults.push(`${what}: ${error.stdout ?? ''}${error.stderr || error.message}`);
    return undefined;
  }
}

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

function compare(file, content) {
  if (read(file) === content) return;
  if (write) writeFileSync(file, content);
  else
    faults.push(
      `${relative(root, file)} is not what its source gives now; run "npm run helm:check -- --write" and commit`,
    );
}
