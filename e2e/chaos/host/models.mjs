import { inference } from '@thalamus/contracts';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { createClient } from '@thalamus/grpc';
import { encodeModel } from '@thalamus/onnx-graph';
import { linearGraph, picoEncoder, picoTokenizer, writePicoBase, writePicoGraph } from '@thalamus/testing';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childrenOf, startHost } from '../../../services/expert-host/bench/host-process.mjs';
import { infer, untilServed } from '../../bench/host/contenders.mjs';
import { distance, openOracle, TOLERANCE } from '../../bench/host/oracle.mjs';
import { textsOf } from '../../bench/host/texts.mjs';

/** Texts that a tiny encoder of sixty tokens knows. */
const PICO_TEXTS = ['hello world', 'the card is lost', 'please block it', 'my money', 'law court'];
const ROWS = Array.from({ length: 16 }, (_, i) => [i - 8, 2 * i + 1]);

/**
 * A host that serves three models, each in an inference process of its own: the zoo's encoder, a tiny encoder and a linear graph.
 * Each has an oracle that is not the host: the same graph run in this process, or arithmetic.
 */
export async function startModels(environment = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-models-'));
  const oracle = await openOracle();
  const pico = await picoOracle();
  await writePicoBase(join(folder, 'pico'), { name: 'pico' });
  await writePicoGraph(join(folder, 'linear'), { name: 'linear' }, linearGraph());
  const host = await startHost(environment, [join(folder, 'pico'), join(folder, 'linear')], {
    experts: [],
  });
  const client = createClient(inference.GRPCInferenceService, {
    address: `127.0.0.1:${host.port}`,
    defaultDeadlineMs: 60_000,
  });
  await untilServed(client, oracle.name, 'pico', 'linear');
  const texts = await textsOf('short', 64, oracle.tokenizer);
  const models = [
    await textModel(client, oracle.name, texts, oracle.embed),
    await textModel(client, 'pico', PICO_TEXTS, pico.embed),
    linearModel(client),
  ];
  const stop = async () => {
    client.close();
    await host.stop();
    await Promise.all([oracle.close(), pico.close()]);
    rmSync(folder, { recursive: true, force: true });
  };
  return { host, client, models, stop };
}

/** Process ids of the inference processes of a host, by the model that runs in them, the oldest first: a busy model has two. */
export function inferenceProcesses(hostPid) {
  const found = new Map();
  for (const pid of childrenOf(hostPid)) {
    const name = commandOf(pid).at(-1) ?? '';
    if (!/^[^/]+@\d+$/.test(name)) continue;
    const model = name.split('@')[0];
    found.set(model, [...(found.get(model) ?? []), pid]);
  }
  return found;
}

function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean);
  } catch {
    return [];
  }
}

async function textModel(client, name, texts, embed) {
  const answers = [];
  for (const text of texts) answers.push(await embed([text]));
  /** Asks about one of the texts; true when the answer is the oracle's. */
  const ask = async (index) => {
    const at = index % texts.length;
    return distance(await infer(client, name, [texts[at]]), answers[at]) <= TOLERANCE;
  };
  return { name, ask };
}

async function picoOracle() {
  const runtime = new OrtRuntime();
  const session = await runtime.load({ bytes: encodeModel(picoEncoder()) }, { threads: 1 });
  const tokenizer = Tokenizer.parse(picoTokenizer());
  const embed = async (texts) => {
    const { inputIds, attentionMask } = await tokenizer.encodeBatch(texts, 32);
    const feeds = { input_ids: inputIds, attention_mask: attentionMask };
    return (await session.run(feeds, { outputs: ['embedding'] })).embedding.data;
  };
  return { embed, close: () => runtime.close() };
}

/** y = x [[1, 2, 3], [4, 5, 6]] + 1. */
function linearModel(client) {
  const ask = async (index) => {
    const [a, b] = ROWS[index % ROWS.length];
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1n, 2n] }];
    const rawInputContents = [new Uint8Array(Float32Array.of(a, b).buffer)];
    const answer = await client.modelInfer({ modelName: 'linear', inputs, rawInputContents });
    const y = new Float32Array(new Uint8Array(answer.rawOutputContents[0]).buffer);
    return distance(y, [a + 4 * b + 1, 2 * a + 5 * b + 1, 3 * a + 6 * b + 1]) === 0;
  };
  return { name: 'linear', ask };
}
