import { gatewayV1, inference, METRICS, TOPICS, type eventsV1 } from '@thalamus/contracts';
import { decodeEvent, EmbeddedEventBus, type EventBus } from '@thalamus/events';
import { createClient } from '@thalamus/grpc';
import { getSdk, prometheusName, setLogLevel, withSpan } from '@thalamus/telemetry';
import { waitUntil } from '@thalamus/testing';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cancelClassification } from '../support/cancel-classification.js';
import { launchMesh, type LaunchedMesh, type MeshFile } from '../support/mesh.js';
import { sendOverRest } from '../support/send-over-rest.js';
import { startOtlpReceiver, type OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.js';
import { parsePrometheus, type MetricFamily } from '../support/parse-prometheus.js';

let receiver: OtlpReceiver;
let mesh: LaunchedMesh;
let bus: EventBus;
const handled: (eventsV1.RequestCompleted | undefined)[] = [];

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  mesh = await launchMesh({ arguments: ['--otlp', receiver.url, '--log-level', 'debug'] });
  // This process takes part as one more service: a client of the gateway and a consumer of its events.
  process.env['THALAMUS_OTLP_ENDPOINT'] = receiver.url;
  process.env['OTEL_SERVICE_NAME'] = 'test';
  await import('@thalamus/telemetry/register');
  setLogLevel('error');
  bus = new EmbeddedEventBus({ file: join(mesh.dataFolder, 'events.sqlite') });
  await bus.start();
  await bus.subscribe({
    group: 'telemetry-test',
    topics: [TOPICS.requestCompleted.name],
    handle: (record) => {
      handled.push(decodeEvent(TOPICS.requestCompleted, record));
      return Promise.resolve({ kind: 'ack' });
    },
  });
}, 180_000);

afterAll(async () => {
  await bus.close();
  await getSdk()?.shutdown();
  await mesh.stop();
  await receiver.close();
}, 60_000);

const HEADERS = { 'content-type': 'application/json' };

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${mesh.http}${path}`, {
    method: 'POST',
    headers: { ...HEADERS, authorization: `Bearer ${mesh.key}`, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** The spans of a trace once it has all of these, `service name`. */
async function traceWith(traceId: string, wanted: readonly string[]): Promise<readonly ReceivedSpan[]> {
  const spans = () => receiver.spans.filter((span) => span.traceId === traceId);
  const missing = () => {
    const have = spans().map(label);
    return wanted.filter((name) => !have.includes(name));
  };
  await waitUntil('the spans of a trace', () => missing().length === 0).catch((fault: unknown) => {
    const have = spans().map(label).join('\n  ');
    throw new Error(`Missing: ${missing().join(', ')}. There are:\n  ${have}`, { cause: fault });
  });
  return spans();
}

const KINDS = ['', 'internal', 'server', 'client', 'producer', 'consumer'];
const label = (span: ReceivedSpan) =>
  `${span.service.replace('thalamus-', '')} ${KINDS[span.kind] ?? ''} ${span.name}`;

/** The way from a span to the first one of its trace. */
function way(spans: readonly ReceivedSpan[], from: string): string[] {
  const labels: string[] = [];
  let span = spans.find((one) => label(one) === from);
  while (span) {
    labels.push(label(span));
    const { parentSpanId } = span;
    span = spans.find((one) => one.spanId === parentSpanId);
  }
  return labels;
}

const ROUTE = 'thalamus.router.v1.RouterService/Route';
const INFER = 'inference.GRPCInferenceService/ModelInfer';
const SENT = `send ${TOPICS.requestCompleted.name}`;
const PROCESSED = `process ${TOPICS.requestCompleted.name}`;

describe('one request is one trace', { timeout: 60_000 }, () => {
  it('over the HTTP form of the Open Inference Protocol, at the gateway and at a host', async () => {
    const text = { name: 'text', datatype: 'BYTES', shape: [1], data: ['I lost my card'] };
    const body = JSON.stringify({ inputs: [text] });
    const route = 'POST /v2/models/:model/infer';
    const [atGateway, atHost] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
    const parent = (traceId: string) => ({ traceparent: `00-${traceId}-${'5'.repeat(16)}-01` });
    expect((await post('/v2/models/banking77/infer', body, parent(atGateway))).status).toBe(200);
    const spans = await traceWith(atGateway, [
      `gateway server ${route}`,
      `gateway client ${INFER}`,
      `expert-host server ${INFER}`,
    ]);
    expect(way(spans, `expert-host server ${INFER}`)).toEqual([
      `expert-host server ${INFER}`,
      `gateway client ${INFER}`,
      `gateway server ${route}`,
    ]);
    const host = `http://${mesh.httpOf('expert-host')}/v2/models/banking77/infer`;
    expect((await fetch(host, { method: 'POST', body, headers: parent(atHost) })).status).toBe(200);
    const alone = await traceWith(atHost, [`expert-host server ${route}`]);
    expect(alone.find(({ parentSpanId }) => parentSpanId === '5'.repeat(16))?.name).toBe(route);
    const row = meshFile().processes.find(({ service }) => service === 'expert-host');
    const metrics = await (await fetch(`http://${row?.ops ?? ''}/metrics`)).text();
    const name = prometheusName({ ...METRICS.httpServerDuration, isCounter: false });
    expect(metrics).toMatch(new RegExp(`^${name}_count\\{[^}]*/v2/models/:model/infer[^}]*\\} 1$`, 'm'));
  });

  it('over HTTP, gRPC and the bus, with the right parents', async () => {
    const [traceId, callerSpan] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
    const response = await post(
      '/v1/classifications',
      { input: 'I lost my card, please block it' },
      { traceparent: `00-${traceId}-${callerSpan}-01` },
    );
    expect(response.status).toBe(200);
    const spans = await traceWith(traceId, [
      'gateway server POST /v1/classifications',
      `gateway client ${ROUTE}`,
      `router server ${ROUTE}`,
      `gateway client ${INFER}`,
      `expert-host server ${INFER}`,
      `gateway producer ${SENT}`,
      `test consumer ${PROCESSED}`,
    ]);
    const front = ['gateway server POST /v1/classifications'];
    expect(spans.find((span) => label(span) === front[0])?.parentSpanId).toBe(callerSpan);
    expect(way(spans, `router server ${ROUTE}`)).toEqual([
      `router server ${ROUTE}`,
      `gateway client ${ROUTE}`,
      ...front,
    ]);
    expect(way(spans, `expert-host server ${INFER}`)).toEqual([
      `expert-host server ${INFER}`,
      `gateway client ${INFER}`,
      ...front,
    ]);
    expect(way(spans, `test consumer ${PROCESSED}`)).toEqual([
      `test consumer ${PROCESSED}`,
      `gateway producer ${SENT}`,
      ...front,
    ]);
    // Nothing else got into it, and none of it hangs in the air.
    const ids = new Set([callerSpan, ...spans.map(({ spanId }) => spanId)]);
    expect(spans.filter(({ parentSpanId }) => !ids.has(parentSpanId)).map(label)).toEqual([]);
    const logged = readFileSync(join(mesh.dataFolder, 'logs/gateway.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes(traceId));
    expect(logged.join('\n')).toContain('"message":"request"');
  });

  it('from a gRPC client through the gateway to the host and a consumer', async () => {
    const client = createClient(gatewayV1.GatewayService, { address: mesh.grpc, defaultDeadlineMs: 20_000 });
    let traceId = '';
    await withSpan('ask', {}, async (span) => {
      traceId = span.spanContext().traceId;
      await client.classify(
        { input: 'Book a table for two' },
        { metadata: { authorization: `Bearer ${mesh.key}` } },
      );
    });
    client.close();
    const method = 'thalamus.gateway.v1.GatewayService/Classify';
    const spans = await traceWith(traceId, [
      'test internal ask',
      `expert-host server ${INFER}`,
      `test consumer ${PROCESSED}`,
    ]);
    const front = [`gateway server ${method}`, `test client ${method}`, 'test internal ask'];
    expect(way(spans, `expert-host server ${INFER}`).slice(-3)).toEqual(front);
    expect(way(spans, `test consumer ${PROCESSED}`).slice(-3)).toEqual(front);
  });

  it('keeps requests apart whose events leave in one batch', async () => {
    const ids = Array.from({ length: 12 }, () => randomBytes(16).toString('hex'));
    await Promise.all(
      ids.map((traceId) =>
        post(
          '/v1/classifications',
          { input: 'play some jazz' },
          { traceparent: `00-${traceId}-${'1'.repeat(16)}-01` },
        ),
      ),
    );
    for (const traceId of ids) {
      const spans = await traceWith(traceId, [`gateway producer ${SENT}`, `test consumer ${PROCESSED}`]);
      expect(spans.filter(({ name }) => name === SENT)).toHaveLength(1);
      // Once by each group that reads the topic; the gateway's own feeds the console.
      const consumers = spans.filter(({ name }) => name === PROCESSED).map(({ service }) => service);
      expect(new Set(consumers).size).toBe(consumers.length);
    }
  });

  it('also when it fails, with the error on the spans it went through', async () => {
    const traceId = randomBytes(16).toString('hex');
    const response = await post(
      '/v1/classifications',
      { input: 'x', model: 'no-such-expert' },
      { traceparent: `00-${traceId}-${'2'.repeat(16)}-01` },
    );
    expect(response.status).toBe(404);
    const spans = await traceWith(traceId, ['gateway server POST /v1/classifications']);
    expect(spans.find(({ name }) => name.startsWith('POST'))?.failed).toBe(true);
  });
});

async function metricsOf(ops: string): Promise<MetricFamily[]> {
  const response = await fetch(`http://${ops}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toContain('version=0.0.4');
  return parsePrometheus(await response.text());
}

/** This process's own metrics: it is the only one here that consumes. */
async function ownMetrics(): Promise<{ service: string; ops: string }> {
  const server = createServer((_request, response) => {
    void getSdk()?.answerScrape(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return { service: 'test', ops: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const meshFile = () => JSON.parse(readFileSync(join(mesh.dataFolder, 'mesh.json'), 'utf8')) as MeshFile;

describe('metrics', { timeout: 60_000 }, () => {
  const declared = new Map(
    Object.values(METRICS).map((metric) => [
      prometheusName({ name: metric.name, unit: metric.unit, isCounter: metric.kind === 'counter' }),
      metric,
    ]),
  );

  it('of every service parse, and are those that the contracts declare', async () => {
    const seen = new Set<string>();
    // The upstream of the demo stands for a remote model: it is no service of the mesh.
    const services = meshFile().processes.filter(({ service }) => service !== 'replay');
    for (const { service, ops } of [...services, await ownMetrics()]) {
      const families = await metricsOf(ops);
      if (service !== 'test')
        expect(families.map(({ name }) => name)).toContain('process_memory_usage_bytes');
      for (const { name, type, help } of families) {
        if (name === 'target_info') continue;
        seen.add(name);
        expect(declared.get(name), `${service} emits ${name}, which is not declared`).toBeDefined();
        expect([type, help]).toEqual([declared.get(name)?.kind, declared.get(name)?.description]);
      }
    }
    // What a healthy mesh that has answered prompts must show, faults with 0: alerts watch how they grow. The others need a job that ended, a training of more than a head, a composition, a chat, and feedback.
    const rare = [
      ...(['jobDuration', 'trainingTokens', 'releaseReactionDuration'] as const),
      'trainingStepDuration',
      'trainingValidationLoss',
      'trainingCheckpointAge',
      ...(['compositions', 'compositionDuration', 'compositionWorstLoss'] as const),
      ...([
        'chatCost',
        'predictedLoss',
        'observedLoss',
        'mirrored',
        'candidateFailures',
        'releaseWeight',
        'releaseProbes',
      ] as const),
    ] as const;
    const usual = Object.entries(METRICS)
      .filter(([key]) => !(rare as readonly string[]).includes(key))
      .map(([, { name, unit, kind }]) => prometheusName({ name, unit, isCounter: kind === 'counter' }));
    expect(usual.filter((name) => !seen.has(name))).toEqual([]);
  });
});

describe('the text of prompts', { timeout: 120_000 }, () => {
  const canary = `canary${randomBytes(12).toString('hex')}`;
  const prompt = `please ${canary} block my card`;

  /** Sends the canary on every way in, right and wrong; returns how each ended. */
  async function sendEverywhere(): Promise<Record<string, number | string>> {
    const ends: Record<string, number | string> = {};
    const http = async (what: string, path: string, body: unknown, headers?: Record<string, string>) => {
      const response = await post(path, body, headers);
      await response.text();
      ends[what] = response.status;
    };
    await http('auto', '/v1/classifications', { input: prompt, thalamus: { decision: true } });
    await http('list', '/v1/classifications', { input: [prompt, `${prompt} again`] });
    await http('named', '/v1/classifications', { input: prompt, model: 'banking77' });
    await http('route', '/v1/route', { input: prompt });
    await http('embed', '/v1/embeddings', { input: prompt, model: 'minilm-l6' });
    await http('unknown model', '/v1/classifications', { input: prompt, model: 'nobody' });
    await http('unknown field', '/v1/classifications', { input: prompt, inputs: prompt });
    await http('wrong type', '/v1/classifications', { input: { text: prompt } });
    await http('bad flag', '/v1/classifications', { input: prompt, flags: 'swiftness=1' });
    await http('not JSON', '/v1/classifications', `{"input": "${prompt}`);
    await http('no JSON at all', '/v1/classifications', prompt);
    await http('too large', '/v1/classifications', { input: `${prompt} `.repeat(60_000) });
    await http('no such route', '/v1/nothing', { input: prompt });
    await http('wrong method type', '/v1/route', prompt, { 'content-type': 'text/plain' });
    await http('no time', '/v1/classifications', { input: prompt }, { 'x-request-timeout-ms': '1' });
    await http('wrong key', '/v1/classifications', { input: prompt }, { authorization: 'Bearer thk_no' });
    ends['gone'] = await cancelClassification(mesh.http, prompt);
    const options = { address: mesh.grpc, defaultDeadlineMs: 20_000 };
    const metadata = { authorization: `Bearer ${mesh.key}` };
    const gateway = createClient(gatewayV1.GatewayService, options);
    const front = createClient(inference.GRPCInferenceService, options);
    const host = createClient(inference.GRPCInferenceService, {
      ...options,
      address: mesh.addressOf('expert-host'),
    });
    const rpc = async (what: string, call: Promise<unknown>) => {
      ends[what] = await call.then(
        () => 'OK',
        (fault: unknown) => (fault as { code: string }).code,
      );
    };
    const text = { name: 'text', datatype: 'BYTES', shape: [1n] };
    const bytes = Buffer.from(prompt);
    const raw = Buffer.concat([Buffer.from(new Uint32Array([bytes.length]).buffer), bytes]);
    await rpc('gRPC', gateway.classify({ input: prompt }, { metadata }));
    await rpc('gRPC, no time', gateway.classify({ input: prompt }, { metadata, deadlineMs: 1 }));
    await rpc('gRPC, wrong key', gateway.classify({ input: prompt }, { metadata: { authorization: 'x' } }));
    for (const [where, client] of [
      ['gateway', front],
      ['host', host],
    ] as const) {
      const model =
        where === 'gateway' ? { modelName: 'auto' } : { modelName: 'banking77', modelVersion: '3' };
      const contents = { bytesContents: [bytes] };
      await rpc(
        `OIP ${where}`,
        client.modelInfer({ ...model, inputs: [{ ...text, contents }] }, { metadata }),
      );
      await rpc(
        `OIP ${where}, raw`,
        client.modelInfer({ ...model, inputs: [text], rawInputContents: [raw] }, { metadata }),
      );
      await rpc(
        `OIP ${where}, wrong type`,
        client.modelInfer({ ...model, inputs: [{ ...text, datatype: 'FP32', contents }] }, { metadata }),
      );
      await rpc(
        `OIP ${where}, wrong shape`,
        client.modelInfer({ ...model, inputs: [{ ...text, shape: [7n], contents }] }, { metadata }),
      );
      await rpc(
        `OIP ${where}, half a text`,
        client.modelInfer(
          { ...model, inputs: [text], rawInputContents: [raw.subarray(0, raw.length - 3)] },
          { metadata },
        ),
      );
      await rpc(
        `OIP ${where}, not UTF-8`,
        client.modelInfer(
          {
            ...model,
            inputs: [{ ...text, contents: { bytesContents: [Buffer.concat([bytes, Buffer.from([0xff])])] } }],
          },
          { metadata },
        ),
      );
    }
    for (const client of [gateway, front, host]) client.close();
    Object.assign(ends, await sendOverRest(prompt, mesh, post));
    return ends;
  }

  it('is in no log, span, metric, event or file, on no way in, right or wrong', async () => {
    const before = handled.length;
    const ends = await sendEverywhere();
    for (const right of ['auto', 'list', 'named', 'route', 'embed', 'REST gateway', 'REST host'])
      expect([right, ends[right]]).toEqual([right, 200]);
    for (const right of ['gRPC', 'OIP gateway', 'OIP host'])
      expect([right, ends[right]]).toEqual([right, 'OK']);
    const wrong = Object.entries(ends).filter(([what]) => /unknown|wrong|bad|not|no |too|half/.test(what));
    expect(wrong.filter(([, end]) => end === 200 || end === 'OK')).toEqual([]);
    expect(wrong.filter(([, end]) => end === 500 || end === 'INTERNAL' || end === 'UPSTREAM_ERROR')).toEqual(
      [],
    );
    await waitUntil('the events of these requests', () => handled.length >= before + 4);
    const marker = randomBytes(16).toString('hex');
    await post('/v1/route', { input: 'a marker' }, { traceparent: `00-${marker}-${'3'.repeat(16)}-01` });
    await traceWith(marker, ['gateway server POST /v1/route', `router server ${ROUTE}`]);

    // The logs are written as they should be: what is known to be in them is found.
    expect(readFileSync(join(mesh.dataFolder, 'logs/gateway.log'), 'utf8')).toContain(marker);
    const found: string[] = [];
    const search = (where: string, text: string | Buffer) => {
      if (text.includes(canary)) found.push(where);
    };
    for (const { service, ops } of meshFile().processes)
      search(`metrics of ${service}`, await (await fetch(`http://${ops}/metrics`)).text());
    receiver.bodies.forEach((body) => {
      search('spans', body);
    });
    search('standard output', mesh.launcher.said.stdout + mesh.launcher.said.stderr);
    const files = readdirSync(mesh.dataFolder, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    // The logs and the event log must be among what is searched, or the search would prove nothing.
    const names = files.map(({ name }) => name);
    for (const name of ['gateway.log', 'router.log', 'expert-host.log', 'events.sqlite'])
      expect(names).toContain(name);
    for (const { parentPath, name } of files)
      search(join(parentPath, name), readFileSync(join(parentPath, name)));
    expect(found).toEqual([]);
  });
});
