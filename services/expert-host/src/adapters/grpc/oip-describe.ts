import type { MessageInitShape } from '@bufbuild/protobuf';
import { modelConfig, type inference } from '@thalamus/contracts';
import type { InferenceMeter, Tally } from '../../application/inference-meter.js';
import type { ExpertValue } from '../../application/served-expert.js';
import type { ServedDescription, Slot, SlotState } from '../../application/slot.js';
import { configType } from '../../domain/oip-tensors.js';

/** What this host offers beyond the required calls, under the names of Triton. */
export const EXTENSIONS = [
  'binary_tensor_data',
  'classification',
  'model_configuration',
  'model_repository',
  'parameters',
  'statistics',
];

/** Name of every model's platform. */
export const PLATFORM = 'onnxruntime_onnx';

/** Name and version of a model. */
export interface ModelName {
  readonly name: string;
  readonly version: string;
}

/** States of the repository index, as Triton writes them. */
const STATES: Readonly<Record<SlotState, string>> = {
  registered: 'UNAVAILABLE',
  loading: 'LOADING',
  ready: 'READY',
  draining: 'UNLOADING',
  failed: 'UNAVAILABLE',
};

export function metadata(
  { name }: ModelName,
  versions: readonly string[],
  { inputs, outputs }: ServedDescription,
): MessageInitShape<typeof inference.ModelMetadataResponseSchema> {
  const describe = ({ name: of, datatype, shape }: ExpertValue) => ({
    name: of,
    datatype,
    shape: shape.map(BigInt),
  });
  return {
    name,
    versions: [...versions],
    platform: PLATFORM,
    inputs: inputs.map(describe),
    outputs: outputs.map(describe),
  };
}

/**
 * Triton's model configuration. `max_batch_size` is 0: shapes are whole, the first size is no batch that clients would leave
 * out. What else the manifest says stands in the parameters.
 */
export function config(
  { name, version }: ModelName,
  { manifest, inputs, outputs, parameters }: ServedDescription,
): MessageInitShape<typeof inference.ModelConfigResponseSchema> {
  const { labels, problemType, pooling } = manifest;
  const facts: Record<string, string> = {
    task: manifest.task,
    max_tokens: String(manifest.maxTokens),
    request_parameters: JSON.stringify(Object.keys(parameters)),
    ...(labels ? { labels: JSON.stringify(labels) } : {}),
    ...(problemType ? { problem_type: problemType } : {}),
    ...(pooling ? { pooling } : {}),
  };
  const value = ({ name: of, datatype, shape }: ExpertValue) => ({
    name: of,
    dataType: configType(datatype),
    dims: shape.map(BigInt),
  });
  return {
    config: {
      name,
      platform: PLATFORM,
      backend: 'onnxruntime',
      versionPolicy: { policyChoice: { case: 'specific', value: { versions: [BigInt(version)] } } },
      maxBatchSize: 0,
      input: inputs.map(value),
      output: outputs.map(value),
      instanceGroup: [{ name, kind: modelConfig.ModelInstanceGroup_Kind.CPU, count: 1 }],
      defaultModelFilename: 'model.onnx',
      parameters: Object.fromEntries(
        Object.entries(facts).map(([key, stringValue]) => [key, { stringValue }]),
      ),
    },
  };
}

export function statistics({
  expert,
  version,
  served,
}: Slot): MessageInitShape<typeof inference.ModelStatisticsSchema> {
  const meter = served?.meter;
  if (!meter) return { name: expert, version };
  const batches = [...meter.batches].sort(([a], [b]) => a - b);
  return {
    name: expert,
    version,
    lastInference: BigInt(meter.lastInferenceMs),
    inferenceCount: BigInt(meter.compute.count),
    executionCount: BigInt(batches.reduce((sum, [, { count }]) => sum + count, 0)),
    inferenceStats: inferenceStats(meter),
    batchStats: batches.map(([size, tally]) => ({ batchSize: BigInt(size), computeInfer: duration(tally) })),
    memoryUsage: [{ type: 'CPU', id: 0n, byteSize: BigInt(served.ownBytes) }],
  };
}

function inferenceStats({ success, failure, queue, compute }: InferenceMeter) {
  return {
    success: duration(success),
    fail: duration(failure),
    queue: duration(queue),
    computeInfer: duration(compute),
  };
}

const duration = ({ count, ns }: Tally) => ({ count: BigInt(count), ns });

export function indexEntry({
  expert,
  version,
  state,
  error,
}: Slot): MessageInitShape<typeof inference.RepositoryIndexResponse_ModelIndexSchema> {
  const reason = state === 'registered' ? 'Registered: it is loaded when it is asked for.' : '';
  return { name: expert, version, state: STATES[state], reason: error?.message ?? reason };
}
