// What a live release costs the requests that are no part of its candidate, and those that are, beside the same request without one:
//   resolve   from the name of an expert to the version that is asked, in this process
//   answered  the same and the call of a host over gRPC, whose model answers at once, in a thread of its own
// Arms, interleaved request by request: no release; shadow (a tenth of the requests mirrored); canary of half of the keys, stable and
// candidate apart. Figures are medians, and medians of differences to the request without a release of the same round.
// Usage: npm run bench:releases [-- --rounds 2000] [--json]. Build first. Figures: docs/how-to/ship-an-update.md.
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { GrpcServer, implementService } from '@thalamus/grpc';
import { inference } from '@thalamus/contracts';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { ChooseHost } from '../dist/application/choose-host.js';
import { HostConnections } from '../dist/application/host-connections.js';
import { InferOnHost } from '../dist/application/infer-on-host.js';
import { AskVersion } from '../dist/application/releases/ask-version.js';
import { LiveReleases } from '../dist/application/releases/live-releases.js';
import { MirrorRequests } from '../dist/application/releases/mirror-requests.js';
import { ResolveExpert } from '../dist/application/resolve-expert.js';
import { WarmStable } from '../dist/application/warm-stable.js';
import { readClassification } from '../dist/domain/oip-answers.js';
import { textsRequest } from '../dist/domain/oip-questions.js';
import { placeOf, subjectOf } from '../dist/domain/release-share.js';

const MIRROR_SHARE = 0.1;
const RESOLVES_PER_ROUND = 50;
const WARM_UP = 200;
const HOUR_MS = 3_600_000;

if (isMainThread) await main();
else await host();

/** A host whose model answers at once. */
async function host() {
  const labels = { parameterChoice: { case: 'stringParam', value: '["other","card_lost"]' } };
  const answer = {
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [1n, 2n], parameters: { labels } }],
    rawOutputContents: [new Uint8Array(Float32Array.of(0.25, 0.75).buffer)],
  };
  const implementation = new Proxy({}, { get: () => () => Promise.resolve(answer) });
  const services = [implementService(inference.GRPCInferenceService, implementation)];
  const server = new GrpcServer({ host: '127.0.0.1', port: 0, services });
  await server.start();
  parentPort.postMessage(server.port);
}

async function main() {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '2000' }, json: { type: 'boolean', default: false } },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 100)
    throw new TypeError('--rounds must be a whole number of 100 or more');
  const worker = new Worker(new URL(import.meta.url));
  const port = await new Promise((resolve) => worker.once('message', resolve));
  const arms = armsBefore(`127.0.0.1:${port}`);
  const measured = Object.fromEntries(arms.list.map(({ name }) => [name, { resolve: [], answered: [] }]));
  for (let round = -WARM_UP; round < rounds; round++)
    for (const arm of shuffled(arms.list)) {
      const us = resolved(arm, round);
      if (round >= 0) measured[arm.name].resolve.push(us);
    }
  for (let round = -WARM_UP; round < rounds; round++)
    for (const arm of shuffled(arms.list)) {
      const ms = await answered(arm, round);
      if (round >= 0) measured[arm.name].answered.push(ms);
    }
  const result = {
    rounds,
    mirrored: arms.mirrored(),
    ...Object.fromEntries(Object.entries(measured).map(([name, own]) => [name, figures(own, measured.none)])),
  };
  if (values.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else console.table(Object.fromEntries(arms.list.map(({ name }) => [name, result[name]])));
  await arms.close();
  await worker.terminate();
}

/** Milliseconds of one request, from the name of the expert to its answer. */
async function answered({ resolve, ask, expert, scope }, round) {
  const own = scope(round);
  const request = textsRequest(['I lost my card'], own.requestId);
  const read = (response) => readClassification(response)[0];
  const began = performance.now();
  const target = resolve.run(expert, undefined, own);
  await ask.run({ target, request, scope: own, read });
  return performance.now() - began;
}

/** Microseconds of finding a version, mean of some. */
function resolved({ resolve, expert, scope }, round) {
  const own = scope(round);
  const began = performance.now();
  for (let count = 0; count < RESOLVES_PER_ROUND; count++) resolve.run(expert, undefined, own);
  return ((performance.now() - began) * 1000) / RESOLVES_PER_ROUND;
}

/** The parts of a gateway with an expert for each arm, all on one host. */
function armsBefore(address) {
  const expert = (name) => ({ name, task: 'text-classification', stable: '1', tenants: [] });
  const view = {
    expert,
    experts: () => [],
    version: () => ({ parents: [] }),
    policy: () => undefined,
    get: () => undefined,
    onChange: () => () => undefined,
    list: () => [release('shadow', 'SHADOW', MIRROR_SHARE), release('canary', 'CANARY', 0)],
  };
  const residency = { hostsFor: () => [{ address }], hosts: () => [address] };
  const connections = new HostConnections(residency);
  const hosts = new InferOnHost(new ChooseHost(residency, view), connections);
  const releases = new LiveReleases(view);
  void releases.start();
  const resolve = new ResolveExpert(view, new WarmStable(view, residency), releases);
  let compared = 0;
  const mirror = new MirrorRequests(
    {
      ...{ hosts, releases },
      canAsk: (which, caller) => resolve.canAsk(which, caller),
      comparisons: { run: () => (compared += 1) },
      isBusy: () => false,
    },
    { atOnce: 2, queue: 32, perSecond: 20, timeoutMs: 5_000 },
  );
  const ask = new AskVersion(hosts, mirror, 2_000);
  const common = { resolve, ask };
  const scopeOf = (id) => (round) => ({
    requestId: `r-${round}`,
    caller: { id, tenant: 'acme', role: 'viewer' },
    signal: new AbortController().signal,
    deadlineAtMs: Date.now() + 10_000,
    completion: { isRecorded: false },
  });
  const list = [
    { ...common, name: 'none', expert: 'none', scope: scopeOf('key') },
    { ...common, name: 'again', expert: 'none', scope: scopeOf('key') },
    { ...common, name: 'shadow', expert: 'shadow', scope: scopeOf('key') },
    { ...common, name: 'canary, stable', expert: 'canary', scope: scopeOf(keyIn(false)) },
    { ...common, name: 'canary, candidate', expert: 'canary', scope: scopeOf(keyIn(true)) },
  ];
  const close = async () => {
    await mirror.close();
    await connections.close();
  };
  return { list, mirrored: () => compared, close };
}

function release(expert, state, mirrorShare) {
  const leaseExpiresAt = timestampFromMs(Date.now() + HOUR_MS);
  const value = {
    ...{ expert, state, mirrorShare, leaseExpiresAt },
    ...{ fromVersion: '1', toVersion: '2', weight: 0.5, mirrorPerSecond: 0 },
  };
  return { key: `release/${expert}`, value: { case: 'release', value } };
}

/** A key that the canary gives the candidate to, or one that it does not. */
function keyIn(isCandidate) {
  for (let count = 0; ; count++) {
    const scope = { requestId: '', caller: { id: `key-${count}`, tenant: 'acme' } };
    if (placeOf('canary', subjectOf(scope)) < 0.5 === isCandidate) return `key-${count}`;
  }
}

function shuffled(items) {
  return items
    .map((item) => [Math.random(), item])
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item);
}

function figures(own, none) {
  const differences = own.answered.map((ms, at) => ms - none.answered[at]);
  return {
    resolveUs: rounded(quantile(own.resolve, 0.5)),
    answeredMs: rounded(quantile(own.answered, 0.5)),
    p95Ms: rounded(quantile(own.answered, 0.95)),
    differenceMs: rounded(quantile(differences, 0.5)),
  };
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

function rounded(value) {
  return Math.round(value * 1000) / 1000;
}
