import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  padTokens,
  Tokenizer,
  type BatchOutcome,
  type InferenceRuntime,
  type InferenceSession,
  type SubmitOptions,
} from '@thalamus/inference';
import { TWIN_VALUES } from '@thalamus/model-merge';
import { asFloat32, tensor, type Tensor } from '@thalamus/tensor';
import { inspectBundleGraph, MODEL_FILE } from './inspect-bundle.js';
import type { ExpertAnswer, ExpertValue, ServedExpert } from './served-expert.js';
import { classifierOutputs, classifierTensors, facts, TEXT_INPUT } from './text-experts.js';
import { textsOf } from './text-input.js';
import { TextQueue, type BatchSettings, type QueuedText } from './text-queue.js';

/** What comes back for one text. */
interface TwinAnswer {
  /** float32 [labels] */
  readonly logits: Float32Array;
  /** float32 [parents]: what the router inside the graph gave to each. */
  readonly routerWeights: Float32Array;
  /** Index of the parent that answered. */
  readonly parent: number;
  readonly tokenCount: number;
  readonly truncated: boolean;
  readonly batchSize: number;
}

interface OpenedTwin {
  readonly bundle: OpenedBundle<ExpertManifest>;
  readonly tokenizer: Tokenizer;
  readonly session: InferenceSession;
  /** In the order of the graph's router weights. */
  readonly parents: readonly string[];
}

const { task: TASK, parent: PARENT, routerWeights: ROUTER_WEIGHTS, logits: LOGITS } = TWIN_VALUES;
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
  private readonly labels: readonly string[];
  private readonly queue: TextQueue<number, TwinAnswer>;

  private constructor(
    private readonly opened: OpenedTwin,
    settings: BatchSettings,
  ) {
    this.manifest = opened.bundle.manifest;
    this.labels = this.manifest.labels ?? [];
    this.memoryBytes = opened.bundle.sizeBytes;
    this.ownBytes = this.memoryBytes;
    this.outputs = [
      ...classifierOutputs(this.labels.length),
      { name: ROUTER_WEIGHTS, datatype: 'FP32', shape: [-1, opened.parents.length] },
      { name: PARENT, datatype: 'BYTES', shape: [-1] },
    ];
    this.queue = new TextQueue({
      ...settings,
      tokenise: (texts) => opened.tokenizer.encode(texts, this.manifest.maxTokens),
      run: (items) => this.run(items),
    });
  }

  /** Opens a checked bundle after a structural look at its graph. @throws GRAPH_INVALID, BUNDLE_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    runtime: InferenceRuntime,
    settings: BatchSettings,
  ): Promise<TwinExpert> {
    const { manifest } = bundle;
    const summary = await inspectBundleGraph(bundle);
    const parents = (manifest.lineage?.parents ?? []).map(({ name }) => name).sort();
    const widthOf = (name: string) => summary.outputs.find((output) => output.name === name)?.shape.at(-1);
    if (widthOf(ROUTER_WEIGHTS) !== parents.length || widthOf(LOGITS) !== manifest.labels?.length)
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `${manifest.name} does not fit its graph: the manifest names ${parents.length} parents and ${manifest.labels?.length ?? 0} labels; compose it again.`,
      );
    const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
    const session = await runtime.load({ path: bundle.filePath(MODEL_FILE) }, { threads: settings.threads });
    return new TwinExpert({ bundle, tokenizer, session, parents }, settings);
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: SubmitOptions): Promise<ExpertAnswer> {
    const { [TASK]: task, ...rest } = Object.fromEntries(inputs);
    const texts = textsOf(new Map(Object.entries(rest)));
    const tasks = this.tasksOf(task, texts.length);
    const answers = await this.queue.submit(texts, (index) => tasks[index] ?? ROUTED, options);
    const outputs = classifierTensors(
      answers.map(({ logits }) => logits),
      this.labels,
    );
    const { parents } = this.opened;
    const weights = new Float32Array(answers.length * parents.length);
    answers.forEach(({ routerWeights }, index) => {
      weights.set(routerWeights, index * parents.length);
    });
    outputs.set(ROUTER_WEIGHTS, tensor('float32', [answers.length, parents.length], weights));
    const names = answers.map(({ parent }) => parents[parent] ?? '');
    outputs.set(PARENT, tensor('string', [answers.length], names));
    return { outputs, labels: this.labels, ...facts(answers) };
  }

  release(): Promise<void> {
    return this.opened.session.release();
  }

  private async run(items: readonly QueuedText<number>[]): Promise<BatchOutcome<TwinAnswer>[]> {
    const batch = padTokens(items.map(({ tokens }) => tokens));
    const tasks = BigInt64Array.from(items, ({ wish }) => BigInt(wish));
    const feeds = {
      [TWIN_VALUES.inputIds]: batch.inputIds,
      [TWIN_VALUES.attentionMask]: batch.attentionMask,
      [TASK]: tensor('int64', [items.length], tasks),
    };
    const results = await this.opened.session.run(feeds, { outputs: [LOGITS, ROUTER_WEIGHTS, PARENT] });
    const logits = asFloat32(results[LOGITS], LOGITS);
    const weights = asFloat32(results[ROUTER_WEIGHTS], ROUTER_WEIGHTS);
    const parent = results[PARENT];
    const row = ({ data, shape }: typeof logits, index: number) => {
      const width = shape[1] ?? 0;
      return data.slice(index * width, (index + 1) * width);
    };
    return items.map(({ tokens }, index) => ({
      logits: row(logits, index),
      routerWeights: row(weights, index),
      parent: parent?.dtype === 'int64' ? Number(parent.data[index]) : ROUTED,
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
