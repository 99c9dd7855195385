import { openBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { BASE_FOLDER } from '../../../services/expert-host/bench/host-process.mjs';

/**
 * How far a number of an answer may be from the oracle's. Batches are summed in another order; and a session that multiplies int8
 * weights as they are stored rounds what goes in, which moves a number of the zoo's base by up to 3e-3. Answers to other texts are
 * further away.
 */
export const TOLERANCE = 1e-2;

/**
 * The encoder of the zoo in this process: tokenizer and ONNX Runtime with one thread, nothing else: `embed` is what
 * answers are checked with. `embedPlainly` does the same with a session of which no option is set.
 */
export async function openOracle() {
  const bundle = await openBundle(BASE_FOLDER);
  const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
  const runtime = new OrtRuntime();
  const graph = bundle.filePath('model.onnx');
  const session = await runtime.load({ path: graph }, { threads: 1 });
  // What a session of onnxruntime-node is when nothing is set: all cores, spinning.
  const plain = await runtime.load(
    { path: graph },
    { threads: 0, settings: { 'session.intra_op.allow_spinning': '1' } },
  );
  /** Embeddings of texts as one Float32Array, in one run. */
  const embedWith = (session) => async (texts) => {
    const { inputIds, attentionMask } = await tokenizer.encodeBatch(texts, bundle.manifest.maxTokens);
    const feeds = { input_ids: inputIds, attention_mask: attentionMask };
    return (await session.run(feeds, { outputs: ['embedding'] })).embedding.data;
  };
  const [embed, embedPlainly] = [embedWith(session), embedWith(plain)];
  return { tokenizer, graph, embed, embedPlainly, name: bundle.manifest.name, close: () => runtime.close() };
}

/** Largest difference of two lists of numbers; infinite for unlike lengths and for what is no number. */
export function distance(given, expected) {
  if (given.length !== expected.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < given.length; i++) {
    const difference = Math.abs(given[i] - expected[i]);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}
