import { openBundle, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { TWIN_VALUES } from '@thalamus/model-merge';
import { inspectGraph } from '@thalamus/onnx-graph';
import { asFloat32, tensor } from '@thalamus/tensor';
import { openTrainingBase, type BaseTools, type BatchEncoder, type TrainingBase } from '@thalamus/training';

/** A graph that is ready to answer. */
export interface OpenedEncoder {
  readonly bundle: OpenedBundle<ExpertManifest>;
  readonly encoder: BatchEncoder;
}

/** What opens models in this process; they end with it. */
export function toolsOf(threads: number): BaseTools {
  return { runtime: new OrtRuntime(), readTokenizer: (json) => Tokenizer.parse(json), threads };
}

/** Opens a base: digests first, then the structure of the graph, then ONNX Runtime. @throws BUNDLE_INVALID, GRAPH_INVALID */
export function openBaseOf(folder: string, threads: number): Promise<TrainingBase> {
  return openTrainingBase(folder, toolsOf(threads));
}

/** Opens a composed classifier; its "vectors" are the logits of its labels. @throws BUNDLE_INVALID, GRAPH_INVALID */
export async function openTwin(folder: string, threads: number): Promise<OpenedEncoder> {
  const { bundle, tokenizer, session } = await openGraph(folder, threads);
  const width = bundle.manifest.labels?.length ?? 0;
  return {
    bundle,
    encoder: {
      encode: async (texts) => {
        const batch = await tokenizer.encodeBatch(texts, bundle.manifest.maxTokens);
        const feeds = {
          [TWIN_VALUES.inputIds]: batch.inputIds,
          [TWIN_VALUES.attentionMask]: batch.attentionMask,
          // Negative: the router of the graph chooses the parent.
          [TWIN_VALUES.task]: tensor('int64', [texts.length], new BigInt64Array(texts.length).fill(-1n)),
        };
        const outputs = await session.run(feeds, { outputs: [TWIN_VALUES.logits] });
        return { embeddings: asFloat32(outputs[TWIN_VALUES.logits], TWIN_VALUES.logits).data, width };
      },
    },
  };
}

async function openGraph(folder: string, threads: number) {
  const bundle = await openBundle(folder);
  inspectGraph(await bundle.readFile('model.onnx'));
  const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
  const session = await new OrtRuntime().load({ path: bundle.filePath('model.onnx') }, { threads });
  return { bundle, tokenizer, session };
}
