import { digestHex, sha256OfFile, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { DERIVATION_VERSION, unwritable } from './derive-graph.js';
import type { DerivedFacts, Derivation, GraphDeriver, WrittenGraph } from './graph-deriver.port.js';

/** A graph that was derived and lies beside the bundles. */
export interface DerivedGraph {
  readonly path: string;
  readonly sizeBytes: number;
}

/** The encoder with a branch beside each linear layer. */
export type BranchedGraph = DerivedGraph & DerivedFacts['branches'];

/** The graph of masked-LM heads, and the sizes that they must have. */
export type MaskedLmHeadGraph = DerivedGraph & DerivedFacts['masked-lm-heads'];

/** Where graphs are derived, and who does it. */
export interface Deriving {
  readonly folder: string;
  readonly deriver: GraphDeriver;
}

const size = z.number().int().positive();
const name = z.string().min(1);
const branch = z.strictObject({ layer: name, inputs: size, outputs: size, down: name, up: name });
const file = { sizeBytes: size, sha256: z.string() };
/** What stands in the files of facts. */
const WRITTEN: { readonly [K in Derivation]: z.ZodType<WrittenGraph<K>> } = {
  branches: z.strictObject({ facts: z.strictObject({ branches: z.array(branch).min(1) }), ...file }),
  'masked-lm-heads': z.strictObject({ facts: z.strictObject({ hidden: size, vocabulary: size }), ...file }),
};

const WRITING = '.writing-';
/** A file that a process which was killed has left half written is removed once it is this old, milliseconds. */
const ABANDONED_MS = 3_600_000;

/**
 * Graphs that are made from that of a base, each when it is first asked for. They stay in a folder under the digest of the
 * bundle, which has been checked: each with its facts as JSON beside it, size and SHA-256 among them. Both appear by rename, the
 * graph first. What does not match its facts is derived again, so that neither a process that was killed nor a disk that was
 * full leaves a graph that is used by half; several hosts may share the folder.
 */
export class DerivedGraphs {
  private branching: Promise<BranchedGraph> | undefined;
  private heading: Promise<MaskedLmHeadGraph> | undefined;

  constructor(
    private readonly bundle: Pick<OpenedBundle<ExpertManifest>, 'digest' | 'folder'>,
    private readonly deriving: Deriving,
  ) {}

  /** @throws GRAPH_INVALID for a base that is no encoder of linear layers, ARTIFACT_STORE_FULL, EXPERT_CRASHED */
  branched(): Promise<BranchedGraph> {
    this.branching ??= this.graph('branches');
    this.branching.catch(() => (this.branching = undefined));
    return this.branching;
  }

  /** @throws GRAPH_INVALID for a base that is no encoder of the zoo's form, ARTIFACT_STORE_FULL, EXPERT_CRASHED */
  maskedLmHead(): Promise<MaskedLmHeadGraph> {
    this.heading ??= this.graph('masked-lm-heads');
    this.heading.catch(() => (this.heading = undefined));
    return this.heading;
  }

  private async graph<K extends Derivation>(what: K): Promise<DerivedFacts[K] & DerivedGraph> {
    const stem = join(
      this.deriving.folder,
      `${what}-v${DERIVATION_VERSION}-${digestHex(this.bundle.digest)}`,
    );
    const files = { graph: `${stem}.onnx`, facts: `${stem}.json` };
    const { facts, sizeBytes } = (await known(what, files)) ?? (await this.derive(what, files));
    return { ...facts, path: files.graph, sizeBytes };
  }

  private async derive<K extends Derivation>(what: K, files: Files): Promise<WrittenGraph<K>> {
    const { folder, deriver } = this.deriving;
    await removeAbandoned(folder);
    const unique = `${WRITING}${randomUUID()}`;
    const writing = { graph: `${files.graph}${unique}`, facts: `${files.facts}${unique}` };
    try {
      const written = await deriver.derive({ what, bundleFolder: this.bundle.folder, path: writing.graph });
      await publish(written, writing, files);
      return written;
    } finally {
      // What cannot be removed now is removed once it is old.
      for (const path of Object.values(writing)) await rm(path, { force: true }).catch(() => undefined);
    }
  }
}

interface Files {
  readonly graph: string;
  readonly facts: string;
}

/** The graph first: facts never stand for a graph that is not there yet. @throws ARTIFACT_STORE_FULL */
async function publish(written: WrittenGraph, writing: Files, files: Files): Promise<void> {
  try {
    await writeFile(writing.facts, JSON.stringify(written));
    await rename(writing.graph, files.graph);
    await rename(writing.facts, files.facts);
  } catch (cause) {
    throw unwritable(files.graph, cause);
  }
}

/** The graph that lies there, when it is whole and the one that its facts tell of; whatever else is there counts as nothing. */
async function known<K extends Derivation>(what: K, files: Files): Promise<WrittenGraph<K> | undefined> {
  try {
    const written = WRITTEN[what].parse(JSON.parse(await readFile(files.facts, 'utf8')));
    if ((await stat(files.graph)).size !== written.sizeBytes) return undefined;
    return (await sha256OfFile(files.graph)) === written.sha256 ? written : undefined;
  } catch {
    return undefined;
  }
}

async function removeAbandoned(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const path of names.filter((entry) => entry.includes(WRITING)).map((entry) => join(folder, entry))) {
    const facts = await stat(path).catch(() => undefined);
    if (facts && Date.now() - facts.mtimeMs > ABANDONED_MS) await rm(path, { force: true });
  }
}
