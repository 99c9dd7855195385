import type { openApiDocument } from '../../src/adapters/http/openapi.js';

type OpenApi = ReturnType<typeof openApiDocument>;

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
}

interface Operation {
  readonly summary: string;
  readonly 'x-thalamus-role'?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly description: string;
  }[];
  readonly requestBody?: { readonly content: { readonly 'application/json': Media } };
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly description: string;
        readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
        readonly headers?: Readonly<Record<string, { readonly description: string }>>;
      }
    >
  >;
}

interface Media {
  readonly schema: Schema;
  readonly examples?: Readonly<Record<string, { readonly summary: string; readonly value: unknown }>>;
}

/** The reference page of the HTTP API, docs/reference/http.md, made of the OpenAPI document. */
export function httpReference(document: OpenApi): string {
  const sections = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
    ([path, item]) =>
      Object.entries(item).map(([method, operation]) =>
        section(`${method.toUpperCase()} ${path}`, operation),
      ),
  );
  return `${[INTRODUCTION, ...sections].join('\n\n')}\n`;
}

const INTRODUCTION = `# HTTP API

<!-- Made from the OpenAPI document of the gateway; a test fails when the two differ. Run the tests of the gateway with --update to renew it. -->

The gateway answers JSON over HTTP; \`GET /openapi.json\` is the machine-readable form of this page. Paths under \`/v1/\`, \`/v2/models\`,
\`/v2/repository\` and \`/admin/\` need an API key, \`Authorization: Bearer thk_...\`, which \`thalamus keys create\` makes; with \`THALAMUS_ANONYMOUS=viewer\`
callers without one are viewers of the tenant \`default\`.

Failures have the form of OpenAI, \`{"error": {"message", "type", "param", "code", "request_id"}}\`. \`code\` is a code of the
error table, \`param\` the faulty field. Unknown fields are errors, and so is a field that a body gives twice. \`Retry-After\`
says when to try again. An unknown path is 404 \`RESOURCE_NOT_FOUND\`, another method 405 \`METHOD_NOT_ALLOWED\` with \`Allow\`,
headers that are too large 431 \`HEADERS_TOO_LARGE\`.

\`/v2\` is the Open Inference Protocol v2 as KServe and Triton publish it, the same calls as over gRPC: clients of Triton work
unchanged. Failures there have its form, \`{"error": "CODE: message"}\`. A deadline comes from \`x-request-timeout-ms\` or the
parameter \`timeout\` in microseconds, whichever ends first.

Flags wish for or limit a property of the expert: \`size=0.5\` is a weight in nats, \`latency=high\` a level, \`cost<2\` and
\`recency>30\` are limits. They come from the body (\`flags\`, or \`thalamus.flags\`), the header \`x-thalamus-flags\`, the model
name (\`auto:size=0.5\`) and a tag at an end of the prompt (\`[flag: size=0.5]\`), the first of these that names one being
the one that counts. The same one twice in one place is an error; no flag loosens the policy of a tenant.

Each request to chat, complete, classify, embed, route or infer is told of by one event of \`thalamus.request.completed.v1\`, failures included, from
the moment that the key is known; a request of several texts by one a text, with the id \`<request id>/<index>\`.`;

function section(title: string, operation: Operation): string {
  const media = operation.requestBody?.content['application/json'];
  const [[status, success] = ['200', undefined], ...failures] = Object.entries(operation.responses);
  const parameters = (operation.parameters ?? []).map((item) => [code(item.name), item.in, item.description]);
  const headers = Object.entries(success?.headers ?? {}).map(([name, item]) => [
    code(name),
    item.description,
  ]);
  const errors = failures.flatMap(([failure, { description }]) =>
    description.split('\n').map((line) => {
      const [name = '', ...summary] = line.split(': ');
      return [failure, name, summary.join(': ')];
    }),
  );
  return [
    `## ${title}`,
    operation.summary,
    ...roleOf(operation),
    ...table(['Parameter', 'In', 'Meaning'], parameters),
    ...(media ? table(['Field', 'Type', 'Meaning'], fields(media.schema, '')) : []),
    ...examples(title, media),
    `Answers ${status}.${eventsOf(success?.content?.['text/event-stream']?.schema)}`,
    ...table(['Header', 'Meaning'], headers),
    ...table(['Status', 'Code', 'When'], errors),
  ].join('\n\n');
}

function roleOf({ 'x-thalamus-role': role }: Operation): string[] {
  return role === undefined || role === 'viewer' ? [] : [`Needs a key of the role ${role} or above.`];
}

function eventsOf(schema: Schema | undefined): string {
  return schema?.description === undefined ? '' : ` Server-sent events: ${schema.description}`;
}

function fields(schema: Schema, prefix: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const nested = field.properties ? fields(field, `${prefix}${name}.`) : [];
    const optional = field.default === undefined ? '' : ` Default ${code(JSON.stringify(field.default))}.`;
    const needed = schema.required?.includes(name) && field.default === undefined ? ' Required.' : '';
    const meaning = `${field.description ?? ''}${optional}${needed}`.trim();
    return [[code(`${prefix}${name}`), typeOf(field), meaning], ...nested];
  });
}

function typeOf({ type, enum: values, anyOf }: Schema): string {
  if (values) return values.map((value) => code(JSON.stringify(value))).join(', ');
  if (anyOf) return [...new Set(anyOf.map(typeOf))].join(' or ');
  return [type ?? 'any'].flat().join(' or ');
}

function examples(title: string, media: Media | undefined): string[] {
  return Object.values(media?.examples ?? {}).map(({ summary, value }) => {
    const [method = '', path = ''] = title.split(' ');
    const verb = method === 'POST' ? '' : `-X ${method} `;
    const body = JSON.stringify(value).replaceAll("'", String.raw`'\''`);
    return `${summary}\n\n\`\`\`sh\ncurl -s ${verb}localhost:8080${path.replace('{name}', 'small-chat').replace('{tenant}', 'acme').replace('{model}', 'auto')} -H "authorization: Bearer $THALAMUS_KEY" -H 'content-type: application/json' \\\n  -d '${body}'\n\`\`\``;
  });
}

const code = (text: string) => `\`${text}\``;
const cell = (text: string) => text.replaceAll('|', String.raw`\|`);

/** A table in the form that the formatter writes: columns as wide as their widest cell. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const all = [head, ...rows].map((row) => row.map(cell));
  const widths = head.map((_, column) => Math.max(3, ...all.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [first = [], ...others] = all;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [[line(first), rule, ...others.map(line)].join('\n')];
}
