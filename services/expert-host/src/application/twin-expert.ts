import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  padTokens,
  Tokenizer,
  type BatchOutcome,
  type InferenceRuntime,
  type InferenceSession,
} from '@thalamus/inference';
import { TWIN_VALUES } from '@thalamus/model-merge';
import type { GraphSummary } from '@thalamus/onnx-graph';
import { asFloat32, tensor, type Tensor } from '@thalamus/tensor';
import { MODEL_FILE } from './inspect-bundle.js';
import { classifierOutputs, classifierTensors, labelSetOf, type LabelSet } from './classifier-outputs.js';
import { InferenceMeter } from './inference-meter.js';
import {
  facts,
  type ExpertAnswer,
  type ExpertValue,
  type InferOptions,
  type ServedExpert,
  type TextFacts,
} from './served-expert.js';
import { TEXT_INPUT, textsOf } from './text-input.js';
import { TextQueue, type BatchSettings, type Metered, type QueuedText } from './text-queue.js';

/** What comes back for one text. */
interface TwinAnswer extends TextFacts {
  /** float32 [labels] */
  readonly logits: Float32Array;
  /** float32 [parents]: what the router inside the graph gave to each. */
  readonly routerWeights: Float32Array;
  /** Index of the parent that answered. */
  readonly parent: number;
  /** Whether no parent covers the text. */
  readonly abstains: boolean;
}

/** Index of the parent that a text is for. */
interface TwinWish extends Metered {
  readonly task: number;
}

interface OpenedTwin {
  readonly bundle: OpenedBundle<ExpertManifest>;
  readonly tokenizer: Tokenizer;
  readonly session: InferenceSession;
  /** In the order of the graph's router weights. */
  readonly parents: readonly string[];
  /** Whether the graph says which texts no parent covers; those that choose one parent a text do not. */
  readonly canAbstain: boolean;
}

const {
  task: TASK,
  parent: PARENT,
  routerWeights: ROUTER_WEIGHTS,
  logits: LOGITS,
  abstain: ABSTAIN,
} = TWIN_VALUES;
/** Value of the input `task` that leaves the choice to the router inside the graph. */
const ROUTED = -1;

/**
 * A composed classifier: one graph with its own router. The parent that answers is chosen inside, for each text on its
 * own, unless the caller names one in the input `task`.
 */
export class TwinExpert implements ServedExpert {
  readonly manifest: ExpertManifest;
  readonly inputs: readonly ExpertValue[] = [TEXT_INPUT, { name: TASK, datatype: 'BYTES', shape: [-1] }];
  readonly outputs: readonly ExpertValue[];
  readonly memoryBytes: number;
  readonly ownBytes: number;
  readonly parameters = {};
  readonly meter = new InferenceMeter();
  private readonly labelSet: LabelSet;
  private readonly queue: TextQueue<TwinWish, TwinAnswer>;

  private constructor(
    private readonly opened: OpenedTwin,
    settings: BatchSettings,
  ) {
    this.manifest = opened.bundle.manifest;
    this.labelSet = labelSetOf(this.manifest);
    this.memoryBytes = opened.bundle.sizeBytes;
    this.ownBytes = this.memoryBytes;
    this.outputs = [
      ...classifierOutputs(this.labelSet.labels.length),
      { name: ROUTER_WEIGHTS, datatype: 'FP32', shape: [-1, opened.parents.length] },
      { name: PARENT, datatype: 'BYTES', shape: [-1] },
      ...(opened.canAbstain ? [{ name: ABSTAIN, datatype: 'BOOL', shape: [-1] } as const] : []),
    ];
    this.queue = new TextQueue({
      ...settings,
      lanes: opened.session,
      tokenise: (texts) => opened.tokenizer.encode(texts, this.manifest.maxTokens),
      run: (items) => this.run(items),
    });
  }

  /** Opens a checked bundle whose graph has been inspected. @throws GRAPH_INVALID, BUNDLE_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    summary: GraphSummary,
    runtime: InferenceRuntime,
    settings: BatchSettings,
  ): Promise<TwinExpert> {
    const { manifest } = bundle;
    const parents = (manifest.lineage?.parents ?? []).map(({ name }) => name).sort();
    const widthOf = (name: string) => summary.outputs.find((output) => output.name === name)?.shape.at(-1);
    if (widthOf(ROUTER_WEIGHTS) !== parents.length || widthOf(LOGITS) !== manifest.labels?.length)
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `${manifest.name} does not fit its graph: the manifest names ${parents.length} parents and ${manifest.labels?.length ?? 0} labels; compose it again.`,
      );
    const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
    const session = await runtime.load({ path: bundle.filePath(MODEL_FILE) });
    const canAbstain = summary.outputs.some(({ name }) => name === ABSTAIN);
    return new TwinExpert({ bundle, tokenizer, session, parents, canAbstain }, settings);
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: InferOptions): Promise<ExpertAnswer> {
    const { [TASK]: task, ...rest } = Object.fromEntries(inputs);
    const texts = textsOf(new Map(Object.entries(rest)));
    const tasks = this.tasksOf(task, texts.length);
    const wishOf = (index: number) => ({ task: tasks[index] ?? ROUTED, meter: this.meter });
    const answers = await this.queue.submit(texts, wishOf, options);
    const outputs = classifierTensors(
      answers.map(({ logits }) => logits),
      this.labelSet,
    );
    const { parents } = this.opened;
    const weights = new Float32Array(answers.length * parents.length);
    answers.forEach(({ routerWeights }, index) => {
      weights.set(routerWeights, index * parents.length);
    });
    outputs.set(ROUTER_WEIGHTS, tensor('float32', [answers.length, parents.length], weights));
    const names = answers.map(({ parent }) => parents[parent] ?? '');
    outputs.set(PARENT, tensor('string', [answers.length], names));
    if (this.opened.canAbstain) {
      const abstains = Uint8Array.from(answers, (answer) => (answer.abstains ? 1 : 0));
      outputs.set(ABSTAIN, tensor('bool', [answers.length], abstains));
    }
    return { outputs, labels: this.labelSet.labels, ...facts(answers) };
  }

  release(): Promise<void> {
    return this.opened.session.release();
  }

  private async run(items: readonly QueuedText<TwinWish>[]): Promise<BatchOutcome<TwinAnswer>[]> {
    const batch = padTokens(items.map(({ tokens }) => tokens));
    const tasks = BigInt64Array.from(items, ({ wish }) => BigInt(wish.task));
    const feeds = {
      [TWIN_VALUES.inputIds]: batch.inputIds,
      [TWIN_VALUES.attentionMask]: batch.attentionMask,
      [TASK]: tensor('int64', [items.length], tasks),
    };
    const wanted = [LOGITS, ROUTER_WEIGHTS, PARENT, ...(this.opened.canAbstain ? [ABSTAIN] : [])];
    const results = await this.opened.session.run(feeds, { outputs: wanted });
    const logits = asFloat32(results[LOGITS], LOGITS);
    const weights = asFloat32(results[ROUTER_WEIGHTS], ROUTER_WEIGHTS);
    const parent = results[PARENT];
    const abstain = results[ABSTAIN];
    const row = ({ data, shape }: typeof logits, index: number) => {
      const width = shape[1] ?? 0;
      return data.slice(index * width, (index + 1) * width);
    };
    return items.map(({ tokens }, index) => ({
      logits: row(logits, index),
      routerWeights: row(weights, index),
      parent: parent?.dtype === 'int64' ? Number(parent.data[index]) : ROUTED,
      abstains: abstain?.dtype === 'bool' && abstain.data[index] === 1,
      tokenCount: tokens.ids.length,
      truncated: tokens.truncated,
      batchSize: items.length,
    }));
  }

  /** Index of the parent that each text is for. */
  private tasksOf(task: Tensor | undefined, texts: number): number[] {
    if (!task) return [];
    if (task.dtype !== 'string' || task.data.length !== texts)
      throw invalid(`must be BYTES with one name for each of the ${texts} texts`);
    const { parents } = this.opened;
    return task.data.map((name, index) => {
      const position = parents.indexOf(name);
      if (position < 0 && name !== '')
        throw invalid(
          `element ${index} names no parent; write one of ${parents.join(', ')}, or nothing to let the router choose`,
        );
      return position < 0 ? ROUTED : position;
    });
  }
}

function invalid(reason: string): ThalamusError {
  return new ThalamusError('TENSOR_INVALID', `Input ${TASK} ${reason}.`, {
    violations: [{ field: TASK, description: reason }],
  });
}
