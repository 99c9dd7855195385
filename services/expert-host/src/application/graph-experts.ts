import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { InferenceRuntime, InferenceSession, SubmitOptions } from '@thalamus/inference';
import { inspectGraph, type GraphSummary } from '@thalamus/onnx-graph';
import type { Tensor } from '@thalamus/tensor';
import { oipDatatype } from '../domain/oip-tensors.js';
import type { ExpertAnswer, ExpertValue, ServedExpert } from './served-expert.js';

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
