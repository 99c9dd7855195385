import {
  checkLowRankFits,
  readClassifierHead,
  readLowRankAdapter,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { decodeModel, encodeModel } from '@thalamus/onnx-graph';
import { classifierGraph } from '../graphs/encoder-graph.js';
import { foldBranches, transposed } from '../graphs/fold-branches.js';
import { embedTexts } from '../embed-texts.js';
import { headLogProbabilities } from '../softmax-regression.js';
import type { GraphRuntime, TextTokens, TrainingBase } from '../training-base.port.js';
import { ClassifierModel } from './classifier-model.js';
import { openOwnGraph } from './own-graph.js';
import { openTwin, twinLogProbabilities } from './twin-answers.js';

type Expert = OpenedBundle<ExpertManifest>;

/** A classifier that answers texts. */
export interface OpenedClassifier {
  readonly labels: readonly string[];
  /** Log-probabilities [texts, labels] in the order of the texts. */
  answer(texts: readonly string[], onRows?: (done: number) => void): Promise<Float64Array>;
  release(): Promise<void>;
}

/** What a classifier is opened with. */
export interface ClassifierTools {
  readonly runtime: GraphRuntime;
  readonly threads: number;
  /** The base that a delta expert stands on. */
  readonly base?: TrainingBase | undefined;
  /** Reads a tokenizer.json. */
  readonly readTokenizer: (json: Uint8Array) => TextTokens;
}

const LIMITS = { rowsPerBatch: 32, tokensPerBatch: 2_048 };

/**
 * Opens a bundle that classifies texts: a probe, a low-rank expert, a graph of its own or a composition. Its digests were checked
 * when it was opened; a delta must name the base that is given.
 * @throws BUNDLE_INVALID when it does not, METHOD_UNSUPPORTED for a remote model, another task, or several labels for a text
 */
export async function openClassifier(expert: Expert, tools: ClassifierTools): Promise<OpenedClassifier> {
  const { kind, labels = [], maxTokens } = expert.manifest;
  requireOneLabel(expert);
  if (kind === 'twin') return twinClassifier(expert, tools);
  if (kind === 'full') {
    const tokens = tools.readTokenizer(await expert.readFile('tokenizer.json'));
    const model = ClassifierModel.of(await openOwnGraph(expert, tools));
    return graphClassifier(model, { labels, tokens, maxTokens });
  }
  const base = requireBase(expert, tools.base);
  const width = base.read.config.hiddenSize;
  const head = await readClassifierHead(expert, width);
  if (kind === 'probe')
    return {
      labels,
      answer: async (texts, onRows) => {
        const onBatch = (done: number) => onRows?.(done);
        const { features } = await embedTexts(base.encoder, texts, { onBatch });
        return headLogProbabilities(head, features, width);
      },
      release: () => Promise.resolve(),
    };
  const adapter = await readLowRankAdapter(expert);
  checkLowRankFits(expert.manifest.name, adapter, base.read.weights);
  const weights = foldBranches(base.read.weights, adapter.factors, adapter.scale);
  const graph = classifierGraph(base.read.config, weights, {
    weights: transposed(head.weights, labels.length, width),
    bias: head.bias,
  });
  const model = await ClassifierModel.open(
    tools.runtime,
    decodeModel(encodeModel(graph)),
    new Set(),
    tools.threads,
  );
  return graphClassifier(model, { labels, tokens: base.tokens, maxTokens });
}

/** @throws METHOD_UNSUPPORTED: rows have one label each, which a model must choose */
function requireOneLabel({ manifest }: Expert): void {
  const { name, kind, task, problemType } = manifest;
  if (task !== 'text-classification' || kind === 'upstream')
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      `${name} is ${kind} for ${task}; labelled rows judge experts for text-classification that answer here.`,
    );
  if (problemType === 'multi_label_classification')
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      `${name} may give a text several labels, each with a probability of its own; rows with one label cannot judge that. Name an expert that chooses one.`,
    );
}

async function twinClassifier(expert: Expert, tools: ClassifierTools): Promise<OpenedClassifier> {
  const twin = await openTwin(expert, tools);
  return {
    labels: expert.manifest.labels ?? [],
    answer: async (texts, onRows) =>
      twinLogProbabilities(await embedTexts(twin, texts, { onBatch: (done) => onRows?.(done) })),
    release: () => twin.release(),
  };
}

function graphClassifier(
  model: ClassifierModel,
  given: { readonly labels: readonly string[]; readonly tokens: TextTokens; readonly maxTokens: number },
): OpenedClassifier {
  return {
    labels: given.labels,
    answer: async (texts, onRows) => {
      const rows = await given.tokens.encode(texts, given.maxTokens);
      const ids = rows.map((row) => row.ids);
      return model.logProbabilities(ids, new Map(), LIMITS, onRows);
    },
    release: () => model.release(),
  };
}

/** @throws BUNDLE_INVALID when the base is not the one that the expert names */
function requireBase({ manifest }: Expert, base: TrainingBase | undefined): TrainingBase {
  const wanted = manifest.base;
  if (base && wanted?.digest === base.digest) return base;
  throw new ThalamusError(
    'BUNDLE_INVALID',
    `${manifest.name} stands on ${wanted?.name ?? 'a base'} ${wanted?.digest ?? ''}, but ${base ? `the base given is ${base.manifest.name} ${base.digest}` : 'no base was given'}; name the folder of its own base with --base.`,
  );
}
