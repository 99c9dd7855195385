import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { openTrainingBase, type BaseTools, type TrainingBase } from '@thalamus/training';

/** What opens models in this process; they end with it. */
export function toolsOf(threads: number): BaseTools {
  return { runtime: new OrtRuntime(), readTokenizer: (json) => Tokenizer.parse(json), threads };
}

/** Opens a base: digests first, then the structure of the graph, then ONNX Runtime. @throws BUNDLE_INVALID, GRAPH_INVALID */
export function openBaseOf(folder: string, threads: number): Promise<TrainingBase> {
  return openTrainingBase(folder, toolsOf(threads));
}
