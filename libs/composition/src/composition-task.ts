import type { Digest, ExpertManifest } from '@thalamus/bundle';
import type { RecipeDocument } from '@thalamus/model-merge';

/** A file of labelled rows. */
export interface DataFile {
  /** name@version of the data set, or the name of a file. */
  readonly dataset: string;
  readonly path: string;
  readonly licence: string;
  readonly origin: string;
}

/** A parent whose files are here. */
export interface TaskParent {
  readonly name: string;
  readonly version: string;
  readonly digest: Digest;
  readonly folder: string;
  /** Rows that the router may be fitted to. */
  readonly train: readonly DataFile[];
  /** Rows that judge; nothing is fitted to them or chosen by them. */
  readonly test: readonly DataFile[];
}

/** Everything that one composition is made of; plain data, so that another process can do the work. */
export interface CompositionTask {
  /** Its models are the parents, by name. */
  readonly document: RecipeDocument;
  readonly seed: number;
  /** Canonical text of the recipe. */
  readonly recipe: string;
  readonly parents: readonly TaskParent[];
  readonly base: { readonly digest: Digest; readonly folder: string };
  /** Texts without labels that the router is fitted to instead of the parents' rows; empty: to their rows. */
  readonly prompts: readonly string[];
  /** What the result is called. */
  readonly result: Pick<ExpertManifest, 'name' | 'version'> & { readonly codeVersion: string };
  /** Folder that the bundle is written to; does not exist yet. */
  readonly outputFolder: string;
  /** Threads inside one operator. */
  readonly threads: number;
  /** Most points of accuracy, of 100, that a parent's task may lose against the parent alone. */
  readonly maxLossPoints: number;
}

/** A composition that passed its checks. */
export interface MadeComposition {
  /** Digest of the bundle in the output folder. */
  readonly digest: Digest;
  /** Figures by name. */
  readonly metrics: Readonly<Record<string, number>>;
}
