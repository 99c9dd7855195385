import type { DataType, Tensor } from '@thalamus/tensor';

/** A model to be opened: a file that has been checked, or bytes. */
export type ModelSource = { readonly path: string } | { readonly bytes: Uint8Array };

/** How quantised weights are held in memory. */
export type HeldWeights = 'stored' | 'expanded';

/** How a session is made. */
export interface SessionOptions {
  /** Threads inside one operator. Default 1. */
  readonly threads?: number;
  /** Keeps freed memory for the next run. Default true. */
  readonly arena?: boolean;
  /**
   * How quantised weights are held. `stored`: as in the file, where a kernel can multiply with them; the numbers that go in are then
   * rounded as well. `expanded`: as float32, which takes up to four times the memory and rounds nothing. Default `stored`.
   */
  readonly weights?: HeldWeights;
  /** How far the graph is rewritten when it is loaded. Default `all`. */
  readonly optimisation?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Further session settings by the runtime's own full names, such as `session.qdq_matmulnbits_accuracy_level`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Name, element type and shape of an input or output. */
export interface SessionValue {
  readonly name: string;
  /** Undefined for an element type that the mesh does not compute with, or for what is no tensor. */
  readonly dtype: DataType | undefined;
  /** Sizes, or names of varying dimensions; undefined when the graph does not say. */
  readonly shape?: readonly (number | string)[] | undefined;
}

/** Tensors by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** Element type and shape of one row of each column of a table, by the name of the input that takes it. */
export type TableColumns = Readonly<
  Record<string, { readonly dtype: 'float32' | 'float16'; readonly shape: readonly number[] }>
>;

/**
 * Tensors that stay with the runtime between runs, stacked by rows along the first axis: a row more costs neither a
 * session nor a copy for each run. Row 0 is always there and all zero.
 */
export interface RowTable {
  /**
   * Sets a row, of every column. `read` gives its values now, and again when the process that holds them was replaced.
   * @throws TENSOR_INVALID for values that do not fit, EXPERT_CRASHED, EXPERT_NOT_READY after release, what `read` throws
   */
  set(row: number, read: () => Promise<Feeds>): Promise<void>;
  /** Forgets a row; its memory is used by the next one of that number. */
  clear(row: number): void;
  /** Frees what the table holds. Releasing twice does nothing. */
  release(): Promise<void>;
}

/** Limits of one run. */
export interface RunOptions {
  /** Outputs wanted; default: all. */
  readonly outputs?: readonly string[];
  /** Tables whose columns are inputs of the session, besides the feeds. */
  readonly tables?: readonly RowTable[];
  /** Milliseconds after which the run counts as hung. Default: the runtime's. */
  readonly timeoutMs?: number;
  /** A run that has not begun is dropped, one that has begun ends but nobody waits for it: the signal's reason, or CANCELLED. */
  readonly signal?: AbortSignal | undefined;
}

/** Where runs go on, and where it is told that more of them wait. */
export interface RunLanes {
  /** Runs that can go on at a time now; more are queued. */
  readonly lanes: number;
  /** More runs wait than lanes: where that lasts a runtime may open another. */
  press(): void;
}

/** An opened model. */
export interface InferenceSession extends RunLanes {
  readonly inputs: readonly SessionValue[];
  readonly outputs: readonly SessionValue[];
  /**
   * Runs the model once. Many runs may be asked for at the same time; they are answered each by its own promise.
   * @throws TENSOR_INVALID for feeds or output names that do not fit, INFERENCE_FAILED when the runtime reports an error,
   * EXPERT_CRASHED when the process that runs it has ended, EXPERT_NOT_READY after release, CANCELLED by the signal.
   */
  run(feeds: Feeds, options?: RunOptions): Promise<Readonly<Record<string, Tensor>>>;
  /** Frees what the session holds. Releasing twice does nothing. */
  release(): Promise<void>;
}

/** Opens models. */
export interface InferenceRuntime {
  /** @throws GRAPH_INVALID when the runtime refuses the model, EXPERT_NOT_READY after close. */
  load(source: ModelSource, options?: SessionOptions): Promise<InferenceSession>;
  /** Makes an empty table. @throws EXPERT_NOT_READY after close */
  createTable(columns: TableColumns): Promise<RowTable>;
  /** Ends the runtime with its sessions. Closing twice does nothing. */
  close(): Promise<void>;
}
