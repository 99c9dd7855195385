import type { Digest, ExpertManifest } from '@thalamus/bundle';
import type { BertWeights } from '@thalamus/onnx-graph';
import type { Tensor } from '@thalamus/tensor';
import type { BatchEncoder } from './embed-texts.js';

/** Runs a graph: an `InferenceSession` of `@thalamus/inference`, or a fake. */
export interface GraphSession {
  run(
    feeds: Readonly<Record<string, Tensor>>,
    options?: { readonly outputs?: readonly string[] },
  ): Promise<Readonly<Record<string, Tensor>>>;
  release(): Promise<void>;
}

/** Opens graphs: an `InferenceRuntime` of `@thalamus/inference`, or a fake. */
export interface GraphRuntime {
  load(
    source: { readonly bytes: Uint8Array } | { readonly path: string },
    options?: { readonly threads?: number; readonly arena?: boolean },
  ): Promise<GraphSession>;
}

/** Turns texts into token ids, special ones included: `Tokenizer` of `@thalamus/inference`, or a fake. */
export interface TextTokens {
  encode(
    texts: readonly string[],
    maxTokens: number,
  ): Promise<readonly { readonly ids: readonly number[]; readonly truncated: boolean }[]>;
}

/** A base that is ready to be trained on. */
export interface TrainingBase {
  readonly manifest: ExpertManifest;
  readonly digest: Digest;
  /** float32 weights that the shipped graph stands for. */
  readonly read: BertWeights;
  readonly tokenizerJson: Uint8Array;
  readonly tokens: TextTokens;
  /** The shipped graph: for probes. */
  readonly encoder: BatchEncoder;
  readonly runtime: GraphRuntime;
  /** Threads inside one operator. */
  readonly threads: number;
}
