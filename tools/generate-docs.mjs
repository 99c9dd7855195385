// Writes the reference pages that come from code: errors, settings, telemetry, headers, the command line. They are made from the built
// libraries, and from the comments of their sources. With --check it fails when a committed page differs.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import prettier from 'prettier';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = (path) => import(pathToFileURL(join(root, path)).href);
const { ERROR_CODES } = await built('libs/errors/dist/index.js');
const { describeSettings } = await built('libs/config/dist/index.js');
const { ATTRIBUTES, METRICS } = await built('libs/contracts/dist/index.js');
const { referencePage } = await built('services/cli/dist/reference-page.js');
const { prometheusName } = await built('libs/telemetry/dist/prometheus-name.js');

const pages = {
  'errors.md': errorsPage(),
  'config.md': await configPage(),
  'telemetry.md': telemetryPage(),
  'headers.md': headersPage(),
  'cli.md': await referencePage(),
};
const stale = [];
for (const [name, text] of Object.entries(pages)) {
  const path = join(root, 'docs/reference', name);
  const options = await prettier.resolveConfig(path);
  const formatted = await prettier.format(text, { ...options, filepath: path });
  const current = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (current === formatted) continue;
  if (process.argv.includes('--check')) stale.push(name);
  else {
    writeFileSync(path, formatted);
    console.log(`wrote docs/reference/${name}`);
  }
}
if (stale.length > 0) {
  console.error(
    `Pages of docs/reference differ from the code: ${stale.join(', ')}. Run "npm run docs" and commit them.`,
  );
  process.exit(1);
}

function errorsPage() {
  const rows = Object.entries(ERROR_CODES).map(([code, spec]) => [
    `\`${code}\``,
    spec.grpc,
    spec.http,
    spec.retryable ? 'yes' : 'no',
    spec.summary,
  ]);
  return page(
    'Errors',
    `Every failure that leaves a process of the mesh carries one of these codes. The table is
\`libs/errors/src/codes.ts\`.

- **gRPC**: the status, with \`google.rpc.Status\` in \`grpc-status-details-bin\`: \`ErrorInfo\` (reason = the code, domain =
  \`thalamus\`, metadata), \`RetryInfo\` when a time is known, \`BadRequest\` with every faulty field.
- **HTTP**: \`{"error": {"message", "type", "param", "code"}}\`, as OpenAI clients expect it; \`code\` is the code.
- **Events**: a dead letter has the code in the header \`thalamus-error-code\`.

"Retry" says whether the same request may succeed later, unchanged.

${table(['Code', 'gRPC', 'HTTP', 'Retry', 'Meaning'], rows)}`,
  );
}

async function configPage() {
  const services = readdirSync(join(root, 'services')).filter((name) =>
    existsSync(join(root, 'services', name, 'dist/config.js')),
  );
  const sections = [];
  for (const service of services.sort()) {
    const definitions = Object.values(await built(`services/${service}/dist/config.js`)).filter(
      (value) => value !== null && typeof value === 'object' && 'shape' in value,
    );
    const rows = definitions.flatMap((definition) => describeSettings(definition)).map(settingRow);
    sections.push(`## ${service}\n\n${table(['Variable', 'Default', 'Meaning'], rows)}`);
  }
  return page(
    'Settings',
    `Services read their settings from the environment, once, at start. A variable that is malformed, missing, contradicts
another, or begins with \`THALAMUS_\` and is unknown stops the start with one message that names every one of them.
\`--help\` of a service prints its part of this page. An empty variable counts as unset. The schemas are
\`services/*/src/config.ts\`, out of the parts in \`libs/config\`; defaults stand nowhere else.

\`OTEL_SERVICE_NAME\` names a process in traces and metrics.

${sections.join('\n\n')}`,
  );
}

function settingRow({ variable, defaultText, description }) {
  const value = defaultText === undefined ? 'required' : defaultText === '(none)' ? '' : `\`${defaultText}\``;
  return [`\`${variable}\``, value, description];
}

function telemetryPage() {
  const metrics = Object.values(METRICS).map((metric) => [
    `\`${metric.name}\``,
    `\`${prometheusName({ ...metric, isCounter: metric.kind === 'counter' })}\``,
    metric.kind,
    metric.unit === '1' ? '' : metric.unit,
    metric.attributes.map((key) => `\`${ATTRIBUTES[key]}\``).join(', '),
    metric.description,
  ]);
  const attributes = commented('libs/contracts/src/telemetry-names.ts', 'ATTRIBUTES').map(
    ({ value, comment }) => [`\`${value}\``, comment],
  );
  return page(
    'Telemetry',
    `Names are declared in \`libs/contracts/src/telemetry-names.ts\`. Prompt text is in none of these signals.

## Metrics

Each service answers \`GET /metrics\` on its ops port with Prometheus text; \`target_info\` names the process.

${table(['Metric', 'Prometheus', 'Kind', 'Unit', 'Split by', 'Meaning'], metrics)}

## Spans

Spans go to \`THALAMUS_OTLP_ENDPOINT\` by OTLP over HTTP when it is set; \`THALAMUS_TRACE_RATIO\` says which share of new
traces is recorded. W3C trace context is read from and written to HTTP headers, gRPC metadata and record headers, so that
one request is one trace over all of them.

${table(
  ['Span', 'Kind', 'Made for'],
  [
    ['`POST /v1/classifications`, ...', 'server', 'an HTTP request of the gateway: method and route pattern'],
    ['`thalamus.router.v1.RouterService/Route`, ...', 'client, server', 'a gRPC call, at both ends'],
    ['`send <topic>`', 'producer', 'records given to the bus'],
    ['`process <topic>`', 'consumer', 'one handling of a record; its parent is the span that sent it'],
  ],
)}

A failed span has the status ERROR with the code of the error as its text.

## Attributes

${table(['Attribute', 'Meaning'], attributes)}

## Logs

JSON lines on standard output: \`level\`, \`time\`, \`component\`, \`message\` (a constant), \`traceId\` and \`spanId\` of the
current span, and fields. An \`error\` field holds the type, the code and the frames of the stack of a fault; its text only
where the kind of fault rules out that it quotes input.`,
  );
}

function headersPage() {
  const section = (title, name) => {
    const rows = commented('libs/contracts/src/headers.ts', name);
    return `## ${title}\n\n${table(
      ['Name', 'Meaning'],
      rows.map(({ value, comment }) => [`\`${value}\``, comment]),
    )}`;
  };
  return page(
    'Headers',
    `Names are declared in \`libs/contracts/src/headers.ts\`.

${section('HTTP, at the gateway', 'HTTP_HEADERS')}

${section('gRPC metadata', 'RPC_METADATA')}

${section('Records on the bus', 'EVENT_HEADERS')}`,
  );
}

/** The entries of an object literal of a source file, with their doc comments. */
function commented(file, name) {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const entries = [];
  const visit = (node) => {
    if (ts.isVariableDeclaration(node) && node.name.getText() === name) {
      const literal = ts.isAsExpression(node.initializer) ? node.initializer.expression : node.initializer;
      for (const property of literal.properties) {
        const comment = ts.getJSDocCommentsAndTags(property).map((doc) => String(doc.comment ?? ''))[0];
        if (!comment) throw new Error(`${file}: ${name}.${property.name.getText()} has no doc comment.`);
        entries.push({ value: property.initializer.text, comment: comment.replaceAll('\n', ' ') });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  if (entries.length === 0) throw new Error(`${file}: nothing is called ${name}.`);
  return entries;
}

function page(title, body) {
  return `# ${title}\n\n<!-- Made by tools/generate-docs.mjs from the code; "npm run docs" writes it again. -->\n\n${body}\n`;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
