import type { CompositionTask, MadeComposition, OnProgress } from '@thalamus/composition';

/** Makes compositions. */
export interface CompositionMaker {
  /**
   * Fits the router, builds the graph, checks it against its parents and writes the bundle.
   * @throws COMPOSITION_REFUSED when a check fails, GRAPH_INVALID, DATASET_INVALID, EXPERT_CRASHED, the reason of the signal
   */
  make(task: CompositionTask, onProgress: OnProgress, signal: AbortSignal): Promise<MadeComposition>;
  /** Ends what runs. */
  close(): Promise<void>;
}
