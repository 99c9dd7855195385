// Checks the chart: lint, closed values schema, rendered examples equal to what is committed, every manifest against strict
// schemas of a Kubernetes API server. `npm run helm:check`; `--write` renews the schema and the rendered examples.
import Ajv from 'ajv';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { helmBinary } from './provision-helm.mjs';
import { valuesSchema } from './helm-values-schema.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const chart = join(root, 'helm/thalamus');
const write = process.argv.includes('--write');
const faults = [];
const helm = helmBinary();

/** Values files that must be refused, each for a reason of its own. */
const BAD_VALUES = {
  'an unknown key': 'gatway: {}',
  'an unknown setting': 'router: { settings: { THALAMUS_MAX_BACH: 4 } }',
  'no brokers': 'kafka: { brokers: [] }',
  'a broker without port': 'kafka: { brokers: [kafka] }',
  'a negative replica count': 'gateway: { replicas: -1 }',
  'a log level that does not exist': 'telemetry: { logLevel: verbose }',
  'a trace ratio above one': 'telemetry: { traceRatio: 2 }',
  'more replicas at least than at most':
    'gateway: { autoscaling: { enabled: true, minReplicas: 5, maxReplicas: 2 } }',
  'a quantity that is none': 'router: { cacheSize: lots }',
  'an ingress without host': 'ingress: { enabled: true }',
};

compare(join(chart, 'values.schema.json'), `${JSON.stringify(await valuesSchema(), null, 2)}\n`);
const examples = readdirSync(join(chart, 'examples'));
for (const example of examples) {
  const values = join(chart, 'examples', example, 'values.yaml');
  run(`helm lint (${example})`, ['lint', '--strict', chart, '-f', values]);
  const rendered = run(`helm template (${example})`, ['template', 'thalamus', chart, '-f', values]);
  if (rendered === undefined) continue;
  compare(join(chart, 'examples', example, 'rendered.yaml'), rendered);
  validate(example, rendered);
}
for (const [reason, text] of Object.entries(BAD_VALUES)) {
  const args = ['template', 'bad', chart, '--set', 'kafka.brokers={kafka:9092}', '-f', '-'];
  const { status } = spawnSync(helm, text.includes('brokers') ? [...args.slice(0, 3), '-f', '-'] : args, {
    input: text,
    encoding: 'utf8',
  });
  if (status === 0) faults.push(`values with ${reason} were accepted`);
}
for (const fault of faults) console.error(`FAIL ${fault}`);
console.log(
  `${examples.length} examples, ${Object.keys(BAD_VALUES).length} bad values files refused, ${faults.length} faults`,
);
process.exit(faults.length === 0 ? 0 : 1);

function run(what, args) {
  try {
    return execFileSync(helm, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    faults.push(`${what}: ${error.stderr || error.stdout || error.message}`);
    return undefined;
  }
}

function compare(file, content) {
  const committed = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (committed === content) return;
  if (write) writeFileSync(file, content);
  else faults.push(`${file} is not what the chart gives now; run "npm run helm:check -- --write" and commit`);
}

function validate(example, rendered) {
  const { kinds, definitions } = JSON.parse(readFileSync(join(root, 'helm/schemas/kubernetes.json'), 'utf8'));
  const ajv = new Ajv({ strict: false, allErrors: true });
  ajv.addSchema({ $id: 'kubernetes', definitions });
  for (const document of parseAllDocuments(rendered)) {
    const manifest = document.toJS();
    if (manifest === null) continue;
    const who = `${example}: ${manifest.kind} ${manifest.metadata?.name}`;
    const name = kinds[`${manifest.apiVersion}/${manifest.kind}`];
    if (name === undefined) {
      faults.push(`${who}: there is no schema for ${manifest.apiVersion} ${manifest.kind}`);
      continue;
    }
    const check = ajv.getSchema(`kubernetes#/definitions/${name}`);
    if (!check(manifest))
      for (const { instancePath, message, params } of check.errors)
        faults.push(`${who}: ${instancePath} ${message} ${JSON.stringify(params)}`);
  }
}
