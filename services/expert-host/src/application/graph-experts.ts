import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { METRICS } from '@thalamus/contracts';
import { DynamicBatcher, type InferenceRuntime, type InferenceSession } from '@thalamus/inference';
import type { GraphSummary } from '@thalamus/onnx-graph';
import { histogram } from '@thalamus/telemetry';
import type { Tensor } from '@thalamus/tensor';
import { oipDatatype } from '../domain/oip-tensors.js';
import { InferenceMeter } from './inference-meter.js';
import { MODEL_FILE } from './inspect-bundle.js';
import type { ExpertAnswer, ExpertValue, InferOptions, ServedExpert } from './served-expert.js';
import type { BatchSettings } from './text-queue.js';

/** What a request asks. */
interface RawRequest {
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Time on the clock of `performance`. */
  readonly enteredAt: number;
}

type RawOutputs = Awaited<ReturnType<InferenceSession['run']>>;

/** Requests on their way at a time: one runs, while another's tensors go to the process or come back. */
const CONCURRENCY = 2;

/**
 * A graph of any kind, tensors in and tensors out, as its own inputs and outputs say. Requests are not batched: what the axes of a
 * foreign graph mean is not known. They wait in a queue that is bounded and fair between tenants by the elements of their inputs.
 */
export class RawGraphExpert implements ServedExpert {
  readonly inputs: readonly ExpertValue[];
  readonly outputs: readonly ExpertValue[];
  readonly parameters = {};
  readonly meter = new InferenceMeter();
  readonly manifest: ExpertManifest;
  readonly memoryBytes: number;
  readonly ownBytes: number;
  private readonly queue: DynamicBatcher<RawRequest, RawOutputs>;

  private constructor(
    bundle: OpenedBundle<ExpertManifest>,
    summary: GraphSummary,
    private readonly session: InferenceSession,
    { maxQueue, onDepth }: BatchSettings,
  ) {
    this.manifest = bundle.manifest;
    this.memoryBytes = bundle.sizeBytes;
    this.ownBytes = bundle.sizeBytes;
    this.inputs = summary.inputs.map(describe);
    this.outputs = summary.outputs.map(describe);
    const waits = histogram(METRICS.queueDuration);
    this.queue = new DynamicBatcher({
      maxBatch: 1,
      maxDelayMs: 0,
      maxQueue,
      lanes: {
        get lanes() {
          return CONCURRENCY - 1 + session.lanes;
        },
        press: () => {
          session.press();
        },
      },
      sizeOf: ({ inputs }) => elementsOf(inputs),
      run: (requests) => Promise.all(requests.map((request) => this.run(request))),
      onBatch: (_size, [waitMs = 0]) => {
        waits.record(waitMs / 1000);
      },
      onDepth,
    });
  }

  /** Opens a graph that has been inspected. @throws GRAPH_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    summary: GraphSummary,
    runtime: InferenceRuntime,
    settings: BatchSettings,
  ): Promise<RawGraphExpert> {
    for (const { name, dtype } of [...summary.inputs, ...summary.outputs])
      if (dtype === undefined || dtype === 'bfloat16')
        throw new ThalamusError(
          'GRAPH_INVALID',
          `${bundle.manifest.name}: ${name} has an element type that cannot be served; export it with another one.`,
        );
    const session = await runtime.load({ path: bundle.filePath(MODEL_FILE) });
    return new RawGraphExpert(bundle, summary, session, settings);
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: InferOptions): Promise<ExpertAnswer> {
    const request = { inputs, enteredAt: performance.now() };
    const outputs = await this.queue.submit(request, options);
    return { outputs: new Map(Object.entries(outputs)), promptTokens: 0, truncated: false, batchSize: 1 };
  }

  release(): Promise<void> {
    return this.session.release();
  }

  /** A run keeps its place until it has ended, also when its caller has gone: the process is busy with it until then. */
  private async run({ inputs, enteredAt }: RawRequest): Promise<RawOutputs> {
    const startedAt = performance.now();
    const outputs = await this.session.run(Object.fromEntries(inputs));
    this.meter.ran([startedAt - enteredAt], performance.now() - startedAt);
    return outputs;
  }
}

function elementsOf(inputs: ReadonlyMap<string, Tensor>): number {
  return [...inputs.values()].reduce((sum, { data }) => sum + data.length, 0);
}

function describe({ name, dtype, shape }: GraphSummary['inputs'][number]): ExpertValue {
  return {
    name,
    datatype: oipDatatype(dtype ?? 'string'),
    shape: shape.map((size) => (typeof size === 'number' ? size : -1)),
  };
}
