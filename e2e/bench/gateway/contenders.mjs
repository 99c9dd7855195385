import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { start, untilReady } from './children.mjs';
import { PEERS, peerFolder } from './peers.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const START_MS = 180_000;
const JSON_HEADER = { 'content-type': 'application/json' };
const PATH = '/v1/chat/completions';
/** Weight of the cost at which the router of the fleet asks both of its models, each for a good part of the prompts. */
const MODEL = 'auto:cost=0.2';

/** The upstream alone, without anything before it. */
export function direct(upstreamPort) {
  const origin = `http://127.0.0.1:${upstreamPort}`;
  return {
    name: 'direct',
    title: 'direct',
    origin,
    path: PATH,
    headers: JSON_HEADER,
    model: 'bench',
    pid: undefined,
  };
}

/**
 * The mesh as `thalamus up` starts it. The remote models of its fleet are given new versions whose upstream is that of the
 * bench; the router of the fleet chooses between them as it does between the replayed ones.
 */
export async function thalamus(upstreamPort, folder, { profileFolder } = {}) {
  const data = join(folder, 'mesh');
  const entry = start(
    process.execPath,
    [
      join(ROOT, 'services/cli/bin/thalamus.mjs'),
      ...['up', '--json', '--data', data, '--port', '0', '--grpc-port', '0', '--replay-pace', '0'],
      ...['--log-level', 'info', '--allow-upstream', `127.0.0.1:${upstreamPort}`],
    ],
    profileFolder === undefined
      ? {}
      : { env: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileFolder}` } },
  );
  await untilReady('Thalamus', entry, () => entry.said().includes('"ready":true'), START_MS);
  const line = entry
    .said()
    .split('\n')
    .find((text) => text.includes('"ready":true'));
  const { http, keyFile, remoteExperts } = JSON.parse(line);
  const headers = { ...JSON_HEADER, authorization: `Bearer ${readFileSync(keyFile, 'utf8').trim()}` };
  for (const expert of remoteExperts) await moveExpert(http, headers, expert, upstreamPort);
  const contender = {
    name: 'thalamus',
    title: 'Thalamus',
    origin: http,
    path: PATH,
    headers,
    model: MODEL,
    pid: entry.pid,
    nameOf: (pid) => {
      if (pid === entry.pid) return 'launcher';
      const { processes } = JSON.parse(readFileSync(join(data, 'mesh.json'), 'utf8'));
      return processes.find((row) => row.pid === pid)?.service ?? 'inference child';
    },
  };
  await untilReady('the routed chat of Thalamus', entry, () => answers(contender), START_MS);
  return contender;
}

async function moveExpert(http, headers, expert, upstreamPort) {
  const shipped = JSON.parse(readFileSync(join(ROOT, `zoo/fleet/${expert}/expert.json`), 'utf8'));
  const { priceInputUsdPerMtok, priceOutputUsdPerMtok } = shipped.upstream;
  const { version } = await post(`${http}/admin/v1/experts`, headers, {
    name: expert,
    description: shipped.description,
    baseUrl: `http://127.0.0.1:${upstreamPort}/v1`,
    model: shipped.upstream.model,
    prices: { inputUsdPerMtok: priceInputUsdPerMtok, outputUsdPerMtok: priceOutputUsdPerMtok },
    maxTokens: shipped.maxTokens,
    parameterCount: shipped.parameterCount,
    flopsPerToken: shipped.flopsPerToken,
    licence: shipped.licence,
  });
  const change = { channel: 'stable', version, reason: 'the upstream of the bench' };
  await post(`${http}/admin/v1/experts/${expert}/channels`, headers, change);
}

async function post(url, headers, body) {
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

/** Portkey's gateway from its npm package, with its provider and address by header, as its documentation has it. */
export async function portkey(upstreamPort, folder, port) {
  const main = join(peerFolder('portkey'), 'node_modules/@portkey-ai/gateway/build/start-server.js');
  const entry = start(process.execPath, [main, '--headless', `--port=${port}`], {
    cwd: folder,
    env: { PORT: String(port), NODE_ENV: 'production' },
  });
  const contender = {
    name: 'portkey',
    title: `Portkey ${PEERS.portkey.version}`,
    origin: `http://127.0.0.1:${port}`,
    path: PATH,
    headers: {
      ...JSON_HEADER,
      authorization: 'Bearer none',
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `http://127.0.0.1:${upstreamPort}/v1`,
    },
    model: 'bench',
    pid: entry.pid,
  };
  await untilReady('Portkey', entry, () => answers(contender), START_MS);
  return contender;
}

/** LiteLLM's proxy from its Python package, one worker, one model, a master key. */
export async function litellm(upstreamPort, folder, port) {
  const key = `sk-${randomBytes(24).toString('hex')}`;
  const config = join(folder, 'litellm.yaml');
  writeFileSync(
    config,
    [
      'model_list:',
      '  - model_name: bench',
      '    litellm_params:',
      '      model: openai/bench',
      `      api_base: http://127.0.0.1:${upstreamPort}/v1`,
      '      api_key: none',
      'general_settings:',
      `  master_key: ${key}`,
      '',
    ].join('\n'),
  );
  const entry = start(
    join(peerFolder('litellm'), 'bin/litellm'),
    [
      ...['--config', config, '--host', '127.0.0.1', '--port', String(port)],
      ...['--num_workers', '1', '--telemetry', 'False'],
    ],
    { cwd: folder, env: { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR' } },
  );
  const contender = {
    name: 'litellm',
    title: `LiteLLM ${PEERS.litellm.version}, 1 worker`,
    origin: `http://127.0.0.1:${port}`,
    path: PATH,
    headers: { ...JSON_HEADER, authorization: `Bearer ${key}` },
    model: 'bench',
    pid: entry.pid,
  };
  await untilReady('LiteLLM', entry, () => answers(contender), START_MS);
  return contender;
}

/** Whether a contender answers one question as the upstream does. */
async function answers({ origin, path, headers, model }) {
  try {
    const response = await fetch(`${origin}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'How many are six times six?' }] }),
      signal: AbortSignal.timeout(10_000),
    });
    return response.ok && (await response.text()).includes('hash browns');
  } catch {
    return false;
  }
}
