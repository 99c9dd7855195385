import { digestHex, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  addGatheredBranches,
  buildGatheredMaskedLmHead,
  decodeModel,
  encodeModel,
  type GatheredBranch,
  type OnnxModel,
} from '@thalamus/onnx-graph';
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MODEL_FILE } from './inspect-bundle.js';

/** A graph that was derived and written beside the bundles. */
export interface DerivedGraph {
  readonly path: string;
  readonly sizeBytes: number;
}

/** The encoder with a branch beside each linear layer. */
export type BranchedGraph = DerivedGraph & { readonly branches: readonly GatheredBranch[] };

/** The graph of masked-LM heads, and the sizes that they must have. */
export type MaskedLmHeadGraph = DerivedGraph & { readonly hidden: number; readonly vocabulary: number };

/** Graphs that are made from that of a base, each when it is first asked for. The digest of the bundle has been checked. */
export class DerivedGraphs {
  private branching: Promise<BranchedGraph> | undefined;
  private heading: Promise<MaskedLmHeadGraph> | undefined;

  constructor(
    private readonly bundle: OpenedBundle<ExpertManifest>,
    private readonly folder: string,
  ) {}

  /** @throws GRAPH_INVALID for a base that is no encoder of linear layers, ARTIFACT_STORE_FULL */
  branched(): Promise<BranchedGraph> {
    this.branching ??= this.derive('branches', addGatheredBranches);
    this.branching.catch(() => (this.branching = undefined));
    return this.branching;
  }

  /** @throws GRAPH_INVALID for a base that is no encoder of the zoo's form, ARTIFACT_STORE_FULL */
  maskedLmHead(): Promise<MaskedLmHeadGraph> {
    this.heading ??= this.derive('masked-lm-heads', buildGatheredMaskedLmHead);
    this.heading.catch(() => (this.heading = undefined));
    return this.heading;
  }

  private async derive<T extends { readonly model: OnnxModel }>(
    what: string,
    make: (model: OnnxModel) => T,
  ): Promise<Omit<T, 'model'> & DerivedGraph> {
    const { model, ...facts } = make(decodeModel(await this.bundle.readFile(MODEL_FILE)));
    const bytes = encodeModel(model);
    const path = join(this.folder, `${what}-${digestHex(this.bundle.digest)}.onnx`);
    const writing = `${path}.${randomUUID()}`;
    try {
      await mkdir(this.folder, { recursive: true });
      await writeFile(writing, bytes);
      await rename(writing, path);
    } catch (cause) {
      await rm(writing, { force: true });
      throw new ThalamusError('ARTIFACT_STORE_FULL', `${path} could not be written; make space for it.`, {
        cause,
      });
    }
    return { ...facts, path, sizeBytes: bytes.byteLength };
  }
}
