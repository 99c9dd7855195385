import { ThalamusError } from '@thalamus/errors';
import type { InferenceRuntime } from '@thalamus/inference';
import { FillMaskExpert } from './fill-mask-expert.js';
import { RawGraphExpert } from './graph-experts.js';
import { GraphClassifierExpert, GraphEmbeddingExpert } from './graph-text-experts.js';
import { openGraphFiller } from './mask-fillers.js';
import type { ServedExpert } from './served-expert.js';
import type { TextBundle } from './text-graph.js';
import type { BatchSettings } from './text-queue.js';
import { TwinExpert } from './twin-expert.js';

/**
 * An expert with a graph of its own that is no base. A bundle with a tokenizer takes texts and answers as its task says; one
 * without takes and gives the tensors of its graph, whatever they stand for.
 * @throws GRAPH_INVALID, BUNDLE_INVALID
 */
export async function openStanding(
  given: TextBundle,
  runtime: InferenceRuntime,
  settings: BatchSettings,
): Promise<ServedExpert> {
  const { bundle, summary } = given;
  const { kind, name, task } = bundle.manifest;
  if (kind === 'twin' && task !== 'fill-mask') return TwinExpert.open(bundle, summary, runtime, settings);
  if (kind !== 'full' && kind !== 'twin')
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${name} is of the kind ${kind}, which this host does not serve.`,
    );
  if (!bundle.has('tokenizer.json')) return RawGraphExpert.open(bundle, summary, runtime, settings);
  switch (task) {
    case 'text-classification':
      return GraphClassifierExpert.open(given, runtime, settings);
    case 'feature-extraction':
      return GraphEmbeddingExpert.open(given, runtime, settings);
    case 'fill-mask':
      return new FillMaskExpert(bundle.manifest, await openGraphFiller(given, runtime, settings));
    case 'text-generation':
      return RawGraphExpert.open(bundle, summary, runtime, settings);
  }
}
