import {
  checkLowRankFits,
  openBundle,
  readClassifierHead,
  readLowRankAdapter,
  type Digest,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { WEIGHTED_KINDS, type LinearLayer, type ParentWeights } from '@thalamus/model-merge';
import {
  decodeModel,
  inspectGraph,
  readBertWeights,
  readMatrix,
  transpose,
  type OnnxModel,
} from '@thalamus/onnx-graph';
import { CLASSIFIER_HEAD, foldBranches, type TrainingBase } from '@thalamus/training';

/** A parent with all of its weights, as float32. */
export interface OpenedParent extends ParentWeights {
  readonly bundle: OpenedBundle<ExpertManifest>;
  readonly digest: Digest;
  readonly labels: readonly string[];
  /** Weights [labels, width]. */
  readonly head: LinearLayer;
}

/**
 * Opens the bundle of a classifier over a base, digests first: of all weights, of low-rank branches, or of a head alone, whose
 * encoder is the base.
 * @throws COMPOSITION_REFUSED for an expert over another base or of another kind, BUNDLE_INVALID, GRAPH_INVALID
 */
export async function openParent(folder: string, base: TrainingBase): Promise<OpenedParent> {
  const bundle = await openBundle(folder);
  const { manifest, digest } = bundle;
  const { name, kind, labels = [] } = manifest;
  requireBase(manifest, base);
  const width = base.read.config.hiddenSize;
  const known = { name, bundle, digest, labels };
  if (kind === 'full') {
    const bytes = await bundle.readFile('model.onnx');
    inspectGraph(bytes);
    return { ...known, ...weightsOf(name, decodeModel(bytes), labels.length) };
  }
  const head = await readClassifierHead(bundle, width);
  if (kind === 'probe') return { ...known, head, weights: base.read.weights };
  const adapter = await readLowRankAdapter(bundle);
  checkLowRankFits(name, adapter, base.read.weights);
  return { ...known, head, weights: foldBranches(base.read.weights, adapter.factors, adapter.scale) };
}

function requireBase(manifest: ExpertManifest, base: TrainingBase): void {
  const { name, kind, task, problemType, base: own, lineage } = manifest;
  const say = (reason: string): never => {
    throw new ThalamusError('COMPOSITION_REFUSED', `${name} cannot be a parent: ${reason}`);
  };
  if (!WEIGHTED_KINDS.some((each) => each === kind))
    say(`it is of the kind ${kind}, and parents are ${WEIGHTED_KINDS.join(', ')}.`);
  if (task !== 'text-classification') say(`it serves ${task}, and parents serve text-classification.`);
  if (problemType === 'multi_label_classification')
    say('it may give a text several labels, and a composition gives one. Name an expert that chooses one.');
  const stands = own?.digest ?? lineage?.parents[0]?.digest;
  if (stands !== base.digest)
    say(
      `it stands on ${own?.name ?? lineage?.parents[0]?.name ?? 'no base'} ${stands ?? ''}, not on ${base.manifest.name} ${base.digest}. Train it on that base, or name its own.`,
    );
}

function weightsOf(name: string, model: OnnxModel, labels: number): Pick<OpenedParent, 'weights' | 'head'> {
  try {
    const { weights } = readBertWeights(model);
    const head = transpose(readMatrix(model, CLASSIFIER_HEAD.weight));
    const bias = readMatrix(model, CLASSIFIER_HEAD.bias);
    if (bias.data.length !== labels)
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `its head has ${bias.data.length} outputs for ${labels} labels.`,
      );
    if (![head, bias].every(({ data }) => data.every(Number.isFinite)))
      throw new ThalamusError('BUNDLE_INVALID', 'its head holds NaN or infinity; train it again.');
    return { weights, head: { weights: head.data, bias: bias.data } };
  } catch (fault) {
    if (!ThalamusError.is(fault)) throw fault;
    throw new ThalamusError(
      fault.code,
      `${name} cannot be a parent: ${fault.message} Only classifiers that "thalamus experts train" made have weights that can be merged.`,
    );
  }
}
