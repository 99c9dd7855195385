import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { againAfterCrash, type InferenceRuntime, type InferenceSession } from '@thalamus/inference';
import type { GraphSummary } from '@thalamus/onnx-graph';
import type { Tensor } from '@thalamus/tensor';
import { oipDatatype } from '../domain/oip-tensors.js';
import { InferenceMeter } from './inference-meter.js';
import { MODEL_FILE } from './inspect-bundle.js';
import type { ExpertAnswer, ExpertValue, InferOptions, ServedExpert } from './served-expert.js';

/** A graph of any kind, tensors in and tensors out, as its own inputs and outputs say. */
export class RawGraphExpert implements ServedExpert {
  readonly inputs: readonly ExpertValue[];
  readonly outputs: readonly ExpertValue[];
  readonly parameters = {};
  readonly meter = new InferenceMeter();
  readonly ownBytes: number;

  private constructor(
    readonly manifest: ExpertManifest,
    readonly memoryBytes: number,
    summary: GraphSummary,
    private readonly session: InferenceSession,
  ) {
    this.inputs = summary.inputs.map(describe);
    this.outputs = summary.outputs.map(describe);
    this.ownBytes = memoryBytes;
  }

  /** Opens a graph that has been inspected. @throws GRAPH_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    summary: GraphSummary,
    runtime: InferenceRuntime,
    threads: number,
  ): Promise<RawGraphExpert> {
    for (const { name, dtype } of [...summary.inputs, ...summary.outputs])
      if (dtype === undefined || dtype === 'bfloat16')
        throw new ThalamusError(
          'GRAPH_INVALID',
          `${bundle.manifest.name}: ${name} has an element type that cannot be served; export it with another one.`,
        );
    const session = await runtime.load({ path: bundle.filePath(MODEL_FILE) }, { threads });
    return new RawGraphExpert(bundle.manifest, bundle.sizeBytes, summary, session);
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: InferOptions): Promise<ExpertAnswer> {
    if (options.deadlineAtMs !== undefined && options.deadlineAtMs <= Date.now())
      throw new ThalamusError('DEADLINE_EXCEEDED', 'The deadline passed before the graph could run.');
    const startedAt = performance.now();
    const { signal } = options;
    const run = () => this.session.run(Object.fromEntries(inputs), { signal });
    const outputs = await againAfterCrash(run, signal);
    this.meter.ran([0], performance.now() - startedAt);
    return { outputs: new Map(Object.entries(outputs)), promptTokens: 0, truncated: false, batchSize: 1 };
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

function describe({ name, dtype, shape }: GraphSummary['inputs'][number]): ExpertValue {
  return {
    name,
    datatype: oipDatatype(dtype ?? 'string'),
    shape: shape.map((size) => (typeof size === 'number' ? size : -1)),
  };
}
