import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  Tokenizer,
  type InferenceRuntime,
  type InferenceSession,
  type SubmitOptions,
} from '@thalamus/inference';
import { inspectGraph } from '@thalamus/onnx-graph';
import { asFloat32, tensor, type Tensor } from '@thalamus/tensor';
import type { ExpertAnswer, ExpertValue, ServedExpert } from './served-expert.js';
import { classifierOutputs, classifierTensors } from './text-experts.js';
import { textsOf } from './text-input.js';

const TASK = 'task';

/**
 * A composed classifier: one graph with its own router. The parent that answers is chosen inside, for each text on its
 * own, unless the caller names one in the input `task`.
 */
export class TwinExpert implements ServedExpert {
  readonly inputs: readonly ExpertValue[] = [
    { name: 'text', datatype: 'BYTES', shape: [-1] },
    { name: TASK, datatype: 'BYTES', shape: [-1] },
  ];
  readonly outputs: readonly ExpertValue[];
  private readonly labels: readonly string[];

  private constructor(
    readonly manifest: ExpertManifest,
    readonly memoryBytes: number,
    private readonly tokenizer: Tokenizer,
    private readonly session: InferenceSession,
    /** In the order of the graph's router weights. */
    private readonly parents: readonly string[],
  ) {
    this.labels = manifest.labels ?? [];
    this.outputs = [
      ...classifierOutputs(this.labels.length),
      { name: 'router_weights', datatype: 'FP32', shape: [-1, parents.length] },
      { name: 'parent', datatype: 'BYTES', shape: [-1] },
    ];
  }

  /** Opens a checked bundle after a structural look at its graph. @throws GRAPH_INVALID, BUNDLE_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    runtime: InferenceRuntime,
    threads: number,
  ): Promise<TwinExpert> {
    const { manifest } = bundle;
    const summary = inspectGraph(await bundle.readFile('model.onnx'));
    const parents = (manifest.lineage?.parents ?? []).map(({ name }) => name).sort();
    const widthOf = (name: string) => summary.outputs.find((output) => output.name === name)?.shape.at(-1);
    if (widthOf('router_weights') !== parents.length || widthOf('logits') !== manifest.labels?.length)
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `${manifest.name} does not fit its graph: the manifest names ${parents.length} parents and ${manifest.labels?.length ?? 0} labels; compose it again.`,
      );
    const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
    const session = await runtime.load({ path: bundle.filePath('model.onnx') }, { threads });
    return new TwinExpert(manifest, bundle.sizeBytes, tokenizer, session, parents);
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: SubmitOptions): Promise<ExpertAnswer> {
    const { [TASK]: task, ...rest } = Object.fromEntries(inputs);
    const texts = textsOf(new Map(Object.entries(rest)));
    const tasks = this.tasksOf(task, texts.length);
    if (options.signal?.aborted)
      throw new ThalamusError('CANCELLED', 'The request was cancelled before it ran.');
    const batch = await this.tokenizer.encodeBatch(texts, this.manifest.maxTokens);
    const results = await this.session.run(
      {
        input_ids: batch.inputIds,
        attention_mask: batch.attentionMask,
        task: tensor('int64', [texts.length], tasks),
      },
      { outputs: ['logits', 'router_weights', 'parent'], signal: options.signal },
    );
    const logits = asFloat32(results['logits'], 'logits');
    const width = this.labels.length;
    const rows = texts.map((_, index) => logits.data.slice(index * width, (index + 1) * width));
    const outputs = classifierTensors(rows, this.labels);
    outputs.set('router_weights', asFloat32(results['router_weights'], 'router_weights'));
    const chosen = results['parent'];
    const indices = chosen?.dtype === 'int64' ? [...chosen.data] : [];
    const names = indices.map((index) => this.parents[Number(index)] ?? '');
    outputs.set('parent', tensor('string', [texts.length], names));
    return {
      outputs,
      labels: this.labels,
      promptTokens: batch.tokenCounts.reduce((sum, count) => sum + count, 0),
      truncated: batch.truncated.some(Boolean),
      batchSize: texts.length,
    };
  }

  release(): Promise<void> {
    return this.session.release();
  }

  /** Index of the parent that each text is for; -1 where the router is to choose. */
  private tasksOf(task: Tensor | undefined, texts: number): BigInt64Array {
    const tasks = new BigInt64Array(texts).fill(-1n);
    if (!task) return tasks;
    if (task.dtype !== 'string' || task.data.length !== texts)
      throw invalid(`must be BYTES with one name for each of the ${texts} texts`);
    task.data.forEach((name, index) => {
      const position = this.parents.indexOf(name);
      if (position < 0 && name !== '')
        throw invalid(
          `element ${index} names no parent; write one of ${this.parents.join(', ')}, or nothing to let the router choose`,
        );
      tasks[index] = BigInt(position);
    });
    return tasks;
  }
}

function invalid(reason: string): ThalamusError {
  return new ThalamusError('TENSOR_INVALID', `Input ${TASK} ${reason}.`, {
    violations: [{ field: TASK, description: reason }],
  });
}
