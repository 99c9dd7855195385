import type { DataType, Tensor } from '@thalamus/tensor';

/** A model to be opened: a file that has been checked, or bytes. */
export type ModelSource = { readonly path: string } | { readonly bytes: Uint8Array };

/** How a session is made. */
export interface SessionOptions {
  /** Threads inside one operator. Default 1. */
  readonly threads?: number;
  /** Keeps freed memory for the next run. Default true. */
  readonly arena?: boolean;
}

/** Name and element type of an input or output. */
export interface SessionValue {
  readonly name: string;
  readonly dtype: DataType | undefined;
}

/** Tensors by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** Limits of one run. */
export interface RunOptions {
  /** Outputs wanted; default: all. */
  readonly outputs?: readonly string[];
  /** Milliseconds after which the run counts as hung. Default: the runtime's. */
  readonly timeoutMs?: number;
}

/** An opened model. */
export interface InferenceSession {
  readonly inputs: readonly SessionValue[];
  readonly outputs: readonly SessionValue[];
  /**
   * Runs the model once.
   * @throws TENSOR_INVALID for feeds that do not fit, INFERENCE_FAILED when the runtime reports an error,
   * EXPERT_CRASHED when the process that runs it has ended.
   */
  run(feeds: Feeds, options?: RunOptions): Promise<Readonly<Record<string, Tensor>>>;
  /** Frees what the session holds. */
  release(): Promise<void>;
}

/** Opens models. */
export interface InferenceRuntime {
  /** @throws GRAPH_INVALID when the runtime refuses the model. */
  load(source: ModelSource, options?: SessionOptions): Promise<InferenceSession>;
  /** Ends the runtime with its sessions. */
  close(): Promise<void>;
}
