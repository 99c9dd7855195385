import type { Digest, ExpertManifest } from '@thalamus/bundle';
import type { OnProgress } from '../domain/progress.js';

/** A file of labelled rows. */
export interface DataFile {
  /** name@version of the data set. */
  readonly dataset: string;
  readonly path: string;
  readonly licence: string;
  readonly origin: string;
}

/** A parent whose files are here. */
export interface MakingParent {
  readonly name: string;
  readonly version: string;
  readonly digest: Digest;
  readonly folder: string;
  readonly train: readonly DataFile[];
  readonly test: readonly DataFile[];
}

/** Everything that one composition is made of; plain data, so that another process can do the work. */
export interface MakingTask {
  readonly method: string;
  readonly parameters: Readonly<Record<string, number>>;
  readonly seed: number;
  /** Canonical text of the recipe. */
  readonly recipe: string;
  readonly parents: readonly MakingParent[];
  readonly base: { readonly digest: Digest; readonly folder: string };
  /** What the result is called. */
  readonly result: Pick<ExpertManifest, 'name' | 'version' | 'releaseDate'> & {
    readonly codeVersion: string;
  };
  /** Folder that the bundle is written to; does not exist yet. */
  readonly outputFolder: string;
  /** Threads inside one operator. */
  readonly threads: number;
}

/** A composition that passed its checks. */
export interface MadeComposition {
  /** Digest of the bundle in the output folder. */
  readonly digest: Digest;
  /** Figures by name. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** Makes compositions. */
export interface CompositionMaker {
  /**
   * Fits the router, builds the graph, checks it against its parents and writes the bundle.
   * @throws COMPOSITION_REFUSED when a check fails, GRAPH_INVALID, DATASET_INVALID, EXPERT_CRASHED, the reason of the signal
   */
  make(task: MakingTask, onProgress: OnProgress, signal: AbortSignal): Promise<MadeComposition>;
  /** Ends what runs. */
  close(): Promise<void>;
}
