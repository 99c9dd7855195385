import { openBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { decodeModel, inspectGraph, readBertWeights } from '@thalamus/onnx-graph';
import { asFloat32 } from '@thalamus/tensor';
import type { GraphRuntime, TextTokens, TrainingBase } from '../training-base.port.js';
import { tokenFeeds } from './classifier-model.js';

/** What opens a base. */
export interface BaseTools {
  readonly runtime: GraphRuntime;
  /** Reads a tokenizer.json. */
  readonly readTokenizer: (json: Uint8Array) => TextTokens;
  /** Threads inside one operator. */
  readonly threads: number;
}

/**
 * Opens the bundle of a base for training: digests first, then the structure of the graph, then its weights as float32.
 * @throws BUNDLE_INVALID, GRAPH_INVALID; METHOD_UNSUPPORTED for a bundle that is no text encoder
 */
export async function openTrainingBase(folder: string, tools: BaseTools): Promise<TrainingBase> {
  const bundle = await openBundle(folder);
  const { manifest, digest } = bundle;
  if (manifest.task !== 'feature-extraction' || manifest.kind !== 'full' || !bundle.has('tokenizer.json'))
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      `${manifest.name} is ${manifest.kind} for ${manifest.task}; experts are trained on a full encoder for feature-extraction, such as zoo/base/minilm-l6.`,
    );
  const bytes = await bundle.readFile('model.onnx');
  inspectGraph(bytes);
  const tokenizerJson = await bundle.readFile('tokenizer.json');
  const tokens = tools.readTokenizer(tokenizerJson);
  const { runtime, threads } = tools;
  const session = await runtime.load({ bytes }, { threads });
  const encoder = {
    encode: async (texts: readonly string[]) => {
      const rows = await tokens.encode(texts, manifest.maxTokens);
      const ids = rows.map((row) => row.ids);
      const feeds = tokenFeeds(ids, Array.from(ids.keys()));
      const outputs = await session.run(feeds, { outputs: ['embedding'] });
      const embedding = asFloat32(outputs['embedding'], 'embedding');
      return { embeddings: embedding.data, width: embedding.shape[1]! };
    },
  };
  return {
    manifest,
    digest,
    read: readBertWeights(decodeModel(bytes)),
    tokenizerJson,
    tokens,
    encoder,
    runtime,
    threads,
  };
}
