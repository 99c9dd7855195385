import type { ExpertManifest } from '@thalamus/bundle';
import type { ModelContract, TensorContract } from '@thalamus/compatibility';
import { DEFAULT_GRAPH_LIMITS, inspectGraph, type GraphValue } from '@thalamus/onnx-graph';
import type { ContractSource } from './contract-source.js';
import { PROBE_TEXTS } from './probe-texts.js';

const GRAPH = 'model.onnx';
const TOKENIZER = 'tokenizer.json';
/** What a classifier of the mesh gives when it has no graph of its own. */
const LOGITS = 'logits';

/** What callers of a version rely on: from its manifest, its graph and its tokenizer. @throws BUNDLE_INVALID, GRAPH_INVALID */
export async function contractOf(source: ContractSource): Promise<ModelContract> {
  const { manifest } = source;
  const { task, labels, maxTokens, precision, licence, kind, base, lineage, problemType, pooling, upstream } =
    manifest;
  const parents = lineage?.parents.map(({ name, version }) => `${name}@${version}`);
  return {
    task,
    ...(labels ? { labels } : {}),
    ...(await tensorsOf(source)),
    ...(await tokenizerOf(source)),
    maxTokens,
    dtype: precision,
    licence,
    lineage: { kind, ...(base ? { base: base.digest } : {}), ...(parents?.length ? { parents } : {}) },
    ...(problemType ? { problemType } : {}),
    ...(pooling ? { pooling } : {}),
    ...(upstream ? { upstream: `${upstream.model} at ${upstream.baseUrl}` } : {}),
  };
}

async function tensorsOf(source: ContractSource): Promise<Pick<ModelContract, 'inputs' | 'outputs'>> {
  const { manifest } = source;
  if (!manifest.files.some(({ path }) => path === GRAPH)) {
    const outputs = outputsWithoutGraph(manifest);
    return outputs ? { outputs } : {};
  }
  const externalFiles = manifest.files.map(({ path }) => path);
  const { inputs, outputs } = inspectGraph(await source.readFile(GRAPH), {
    ...DEFAULT_GRAPH_LIMITS,
    externalFiles,
  });
  return { inputs: inputs.map(tensorOf), outputs: outputs.map(tensorOf) };
}

function tensorOf({ name, dtype, shape }: GraphValue): TensorContract {
  return { name, dataType: dtype ?? 'unknown', shape };
}

/** Deltas run in the graph of their base, with logits for their own labels. */
function outputsWithoutGraph({ task, labels }: ExpertManifest): readonly TensorContract[] | undefined {
  if (task !== 'text-classification' || !labels) return undefined;
  return [{ name: LOGITS, dataType: 'float32', shape: ['batch', labels.length] }];
}

/** A delta reads with the tokenizer of its base, which its lineage names. */
async function tokenizerOf(source: ContractSource): Promise<Pick<ModelContract, 'tokenizer'>> {
  const file = source.manifest.files.find(({ path }) => path === TOKENIZER);
  if (!file) return {};
  const { Tokenizer } = await import('@thalamus/inference');
  const tokenizer = Tokenizer.parse(await source.readFile(TOKENIZER));
  const rows = await tokenizer.encode(PROBE_TEXTS, source.manifest.maxTokens);
  return { tokenizer: { digest: `sha256:${file.sha256}`, probe: rows.map(({ ids }) => ids) } };
}
