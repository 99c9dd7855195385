import { inference } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BASE_FOLDER, startHost } from '../../../services/expert-host/bench/host-process.mjs';
import { freePorts } from '../free-ports.mjs';
import { start, untilReady } from '../gateway/children.mjs';
import { peerFolder } from '../gateway/peers.mjs';
import { useOfTree } from '../gateway/process-use.mjs';

const START_MS = 120_000;
/** A host calibrates when the machine is quiet. */
const CALIBRATION_MS = 60_000;
const HOST_PROCESS = 'services/expert-host/bench/host-process.mjs';
/** Batches that MLServer may gather: the host's own defaults. */
const BATCHING = { max_batch_size: 32, max_batch_time: 0.002 };
/** Threads of 0 are what ONNX Runtime takes when nothing is set. */
const MLSERVER_MODELS = {
  'encoder-1': { title: ', 1 thread', threads: 1, more: {} },
  'encoder-1-batched': { title: ', 1 thread, batching', threads: 1, more: BATCHING },
  encoder: { title: '', threads: 0, more: {} },
  'encoder-batched': { title: ', batching', threads: 0, more: BATCHING },
};

/**
 * A plain loop in this process: tokenizer and ONNX Runtime, one request after the other, whatever the concurrency. Once with one thread,
 * once with the session that its users get when they set nothing.
 */
export function inProcess({ embed, embedPlainly }) {
  const cpuMs = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  return [
    { name: 'loop-1', title: 'loop, 1 thread', ask: embed, cpuMs, isSerial: true },
    { name: 'loop', title: 'loop', ask: embedPlainly, cpuMs, isSerial: true },
  ];
}

/** The expert host with nothing but the encoder, of this checkout or of another one. */
export async function thalamus(model, { name = 'thalamus', environment = {}, checkout } = {}) {
  const start = checkout ? (await import(join(resolve(checkout), HOST_PROCESS))).startHost : startHost;
  const host = await start(environment, [], { experts: [] });
  await untilServed(host.client, model);
  const calibration = await host.calibrated?.(CALIBRATION_MS);
  // Sessions that were made before are made anew.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const title = name === 'thalamus' ? 'Thalamus' : `Thalamus, ${name}`;
  return { ...remote(name, title, host.client, model, host.pid), calibration, stop: host.stop };
}

/**
 * MLServer with the same graph, with one thread and with all cores as ONNX Runtime does when nothing is set; each without and with its
 * adaptive batching.
 */
export async function mlserver({ graph }, folder) {
  const [http, grpc, metrics] = await freePorts(3);
  const parameters = (threads) => ({
    uri: graph,
    extra: { graph, tokenizer: join(BASE_FOLDER, 'tokenizer.json'), max_tokens: 256, threads },
  });
  for (const [name, { threads, more }] of Object.entries(MLSERVER_MODELS)) {
    mkdirSync(join(folder, name), { recursive: true });
    const settings = { name, implementation: 'encoder.Encoder', parameters: parameters(threads), ...more };
    writeFileSync(join(folder, name, 'model-settings.json'), JSON.stringify(settings));
  }
  cpSync(fileURLToPath(new URL('mlserver/encoder.py', import.meta.url)), join(folder, 'encoder.py'));
  const settings = {
    ...{ host: '127.0.0.1', http_port: http, grpc_port: grpc, metrics_port: metrics },
    ...{ parallel_workers: 0, debug: false },
  };
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings));
  const server = start(join(peerFolder('mlserver'), 'bin/mlserver'), ['start', folder], {
    cwd: folder,
    env: { PYTHONPATH: folder },
  });
  const client = createClient(inference.GRPCInferenceService, {
    address: `127.0.0.1:${grpc}`,
    defaultDeadlineMs: 60_000,
  });
  const isReady = async () =>
    (await fetch(`http://127.0.0.1:${http}/v2/health/ready`).catch(() => undefined))?.ok === true;
  await untilReady('MLServer', server, isReady, START_MS);
  return Object.entries(MLSERVER_MODELS).map(([model, { title }]) =>
    remote(`mlserver-${model}`, `MLServer${title}`, client, model, server.pid),
  );
}

function remote(name, title, client, modelName, pid) {
  return {
    name,
    title,
    ask: (texts) => infer(client, modelName, texts),
    cpuMs: () => useOfTree(pid).cpuMs,
    isSerial: false,
  };
}

/** Asks for the embeddings of texts, raw both ways, which is the cheapest form of the protocol. */
export async function infer(client, modelName, texts) {
  const inputs = [{ name: 'text', datatype: 'BYTES', shape: [BigInt(texts.length)] }];
  const rawInputContents = [rawTexts(texts)];
  const answer = await client.modelInfer({ modelName, modelVersion: '', inputs, rawInputContents });
  const at = answer.outputs.findIndex((output) => output.name === 'embedding');
  const raw = answer.rawOutputContents[at];
  if (raw === undefined) return Float32Array.from(answer.outputs[at]?.contents?.fp32Contents ?? []);
  return new Float32Array(new Uint8Array(raw).buffer);
}

/** BYTES elements, each with its length before it. */
function rawTexts(texts) {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.byteLength);
      return [length, bytes];
    }),
  );
}

/** Waits until a host serves a model. */
export async function untilServed(client, ...names) {
  for (;;) {
    const { models } = await client.repositoryIndex({ ready: true });
    if (names.every((name) => models.some((model) => model.name === name))) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
