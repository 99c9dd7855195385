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
 * Opens a bundle of the kind probe, lowrank or full that classifies texts. Its digests were checked when it was opened; a
 * delta must name the base that is given.
 * @throws BUNDLE_INVALID when it does not, METHOD_UNSUPPORTED for another kind or task
 */
export async function openClassifier(expert: Expert, tools: ClassifierTools): Promise<OpenedClassifier> {
  const { kind, task, name, labels = [], maxTokens } = expert.manifest;
  if (task !== 'text-classification' || (kind !== 'probe' && kind !== 'lowrank' && kind !== 'full'))
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      `${name} is ${kind} for ${task}; this judges probe, lowrank and full experts for text-classification.`,
    );
  if (kind === 'full') {
    const tokens = tools.readTokenizer(await expert.readFile('tokenizer.json'));
    const model = decodeModel(await expert.readFile('model.onnx'));
    return graphClassifier(await ClassifierModel.open(tools.runtime, model, new Set(), tools.threads), {
      labels,
      tokens,
      maxTokens,
    });
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
  checkLowRankFits(name, adapter, base.read.weights);
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
