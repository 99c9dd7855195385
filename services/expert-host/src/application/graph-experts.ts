import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  Tokenizer,
  type InferenceRuntime,
  type InferenceSession,
  type SubmitOptions,
} from '@thalamus/inference';
import { inspectGraph, type GraphSummary } from '@thalamus/onnx-graph';
import { asFloat32, tensor, type Tensor } from '@thalamus/tensor';
import { oipDatatype } from '../domain/oip-tensors.js';
import type { ExpertAnswer, ExpertValue, ServedExpert } from './served-expert.js';
import { classifierOutputs, classifierTensors } from './text-experts.js';
import { textsOf } from './text-input.js';

/** A graph of any kind, tensors in and tensors out, as its own inputs and outputs say. */
export class RawGraphExpert implements ServedExpert {
  readonly inputs: readonly ExpertValue[];
  readonly outputs: readonly ExpertValue[];

  private constructor(
    readonly manifest: ExpertManifest,
    readonly memoryBytes: number,
    summary: GraphSummary,
    private readonly session: InferenceSession,
  ) {
    const describe = ({ name, dtype, shape }: GraphSummary['inputs'][number]) => ({
      name,
      datatype: oipDatatype(dtype ?? 'string'),
      shape: shape.map((size) => (typeof size === 'number' ? size : -1)),
    });
    this.inputs = summary.inputs.map(describe);
    this.outputs = summary.outputs.map(describe);
  }

  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    runtime: InferenceRuntime,
    threads: number,
  ): Promise<RawGraphExpert> {
    const summary = inspectGraph(await bundle.readFile('model.onnx'));
    const session = await runtime.load({ path: bundle.filePath('model.onnx') }, { threads });
    return new RawGraphExpert(bundle.manifest, bundle.sizeBytes, summary, session);
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: SubmitOptions): Promise<ExpertAnswer> {
    for (const [name, value] of inputs) this.checkShape(name, value);
    const remaining = options.deadlineAtMs === undefined ? undefined : options.deadlineAtMs - Date.now();
    if (remaining !== undefined && remaining <= 0)
      throw new ThalamusError('DEADLINE_EXCEEDED', 'The deadline passed before the graph could run.');
    const outputs = await this.session.run(Object.fromEntries(inputs));
    return { outputs: new Map(Object.entries(outputs)), promptTokens: 0, truncated: false, batchSize: 1 };
  }

  release(): Promise<void> {
    return this.session.release();
  }

  private checkShape(name: string, value: Tensor): void {
    const expected = this.inputs.find((input) => input.name === name)?.shape;
    if (!expected) return;
    const fits =
      expected.length === value.shape.length &&
      expected.every((size, axis) => size < 0 || size === value.shape[axis]);
    if (!fits)
      throw new ThalamusError(
        'TENSOR_INVALID',
        `Input ${name} has the shape [${value.shape.join(', ')}], but the graph wants [${expected.join(', ')}].`,
      );
  }
}

/** A composed classifier: one graph with its own router; the head is chosen inside, for each text on its own. */
export class TwinExpert implements ServedExpert {
  readonly inputs: readonly ExpertValue[] = [{ name: 'text', datatype: 'BYTES', shape: [-1] }];
  readonly outputs: readonly ExpertValue[];

  private constructor(
    readonly manifest: ExpertManifest,
    readonly memoryBytes: number,
    private readonly tokenizer: Tokenizer,
    private readonly session: InferenceSession,
    private readonly labels: readonly string[],
  ) {
    this.outputs = classifierOutputs(labels.length);
  }

  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    runtime: InferenceRuntime,
    threads: number,
  ): Promise<TwinExpert> {
    inspectGraph(await bundle.readFile('model.onnx'));
    const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
    const session = await runtime.load({ path: bundle.filePath('model.onnx') }, { threads });
    return new TwinExpert(
      bundle.manifest,
      bundle.sizeBytes,
      tokenizer,
      session,
      bundle.manifest.labels ?? [],
    );
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: SubmitOptions): Promise<ExpertAnswer> {
    const texts = textsOf(inputs);
    if (options.signal?.aborted)
      throw new ThalamusError('CANCELLED', 'The request was cancelled before it ran.');
    const batch = await this.tokenizer.encodeBatch(texts, this.manifest.maxTokens);
    const head = tensor('int64', [texts.length], new BigInt64Array(texts.length).fill(-1n));
    const results = await this.session.run({
      input_ids: batch.inputIds,
      attention_mask: batch.attentionMask,
      head,
    });
    const logits = asFloat32(results['logits'], 'logits');
    const width = this.labels.length;
    const rows = texts.map((_, index) => logits.data.slice(index * width, (index + 1) * width));
    const outputs = classifierTensors(rows, this.labels);
    outputs.set('router_weights', asFloat32(results['router_weights'], 'router_weights'));
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
}
