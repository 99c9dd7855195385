// Classifiers as a host serves them: the base in its shipped storage, low-rank branches beside its products, a head.
import { openBundle, readClassifierHead, readLowRankAdapter } from '@thalamus/bundle';
import { OrtRuntime, TextEncoder, Tokenizer } from '@thalamus/inference';
import { addGatheredBranches, decodeModel, encodeModel, oneAdapterFeeds } from '@thalamus/onnx-graph';
import { embedTexts, evaluateHead, labelled } from '@thalamus/training';
import { join } from 'node:path';
import { embedAll } from './embeddings.mjs';

/** Width of the base's vectors. */
export const WIDTH = 384;

/** Opens experts over one base, which is loaded once. `runtime` is the caller's to close. */
export class ServedExperts {
  #graph;

  constructor(base, { runtime = new OrtRuntime(), threads = 2 } = {}) {
    this.base = base;
    this.runtime = runtime;
    this.threads = threads;
  }

  /** Bundle, labels, head and encoder of an expert; `key` names what its vectors depend on. */
  async open(folder) {
    const bundle = await openBundle(folder);
    const { manifest, digest } = bundle;
    const head = await readClassifierHead(bundle, WIDTH);
    const own =
      manifest.kind === 'lowrank'
        ? { encoder: await this.#withBranches(bundle), key: digest }
        : { encoder: this.base.encoder, key: this.base.key };
    return {
      expert: manifest.name,
      version: manifest.version,
      digest,
      bundle,
      manifest,
      labels: manifest.labels,
      head,
      ...own,
    };
  }

  /** The base's encoder with the branches of one expert in every run. */
  async #withBranches(bundle) {
    this.#graph ??= this.#load();
    const { session, branches, tokenizer } = await this.#graph;
    const adapter = await readLowRankAdapter(bundle);
    const adapterFeeds = oneAdapterFeeds(adapter, branches, adapter.rank);
    const own = { run: (feeds, options) => session.run({ ...feeds, ...adapterFeeds }, options) };
    return new TextEncoder(tokenizer, own, this.base.bundle.manifest.maxTokens);
  }

  async #load() {
    const { bundle } = this.base;
    const { model, branches } = addGatheredBranches(decodeModel(await bundle.readFile('model.onnx')));
    const session = await this.runtime.load({ bytes: encodeModel(model) }, { threads: this.threads });
    return { session, branches, tokenizer: Tokenizer.parse(await bundle.readFile('tokenizer.json')) };
  }
}

/** Opens the experts of tasks, in their order. */
export async function openServed(zoo, tasks, base, options) {
  const served = new ServedExperts(base, options);
  const experts = [];
  for (const { expert } of tasks) experts.push(await served.open(join(zoo, 'experts', expert)));
  return experts;
}

/** Vectors of texts as an expert reads them, [texts, WIDTH]; kept in the cache under a label, without one encoded anew. */
export async function vectorsOf(expert, rows, label) {
  const texts = rows.map(({ text }) => text);
  if (label !== undefined) return embedAll(expert, texts, `${label}.${expert.expert}`);
  return (await embedTexts(expert.encoder, texts)).features;
}

/** Figures of an expert on labelled rows. */
export async function figuresOf(expert, rows, label) {
  const features = await vectorsOf(expert, rows, label);
  const labels = rows.map((row) => row.label);
  return evaluateHead(expert.head, labelled({ features, labels }, expert.labels, WIDTH));
}
