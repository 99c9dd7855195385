import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inference } from '@thalamus/contracts';
import { ATTRIBUTES, METRICS, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import { counter } from '@thalamus/telemetry';
import type { ExpertLibrary } from '../../application/expert-library.js';
import type { ExpertAnswer, ExpertValue } from '../../application/served-expert.js';
import { decodeInputs, encodeOutput } from '../../domain/oip-tensors.js';

type InferResponse = MessageInitShape<typeof inference.ModelInferResponseSchema>;

/** What this host offers beyond the required calls. */
const EXTENSIONS = ['binary_tensor_data', 'model_repository', 'model_configuration', 'statistics'];
const PLATFORM = 'onnxruntime_onnx';

/** The Open Inference Protocol v2 over the expert library. */
export class OipService implements ServiceImplementation<typeof inference.GRPCInferenceService> {
  private readonly inferences = counter(METRICS.inferences);

  constructor(
    private readonly library: ExpertLibrary,
    private readonly ready: () => boolean,
  ) {}

  serverLive() {
    return Promise.resolve({ live: true });
  }

  serverReady() {
    return Promise.resolve({ ready: this.ready() });
  }

  modelReady(request: inference.ModelReadyRequest) {
    return Promise.resolve({ ready: this.library.slot(request.name, request.version).state === 'ready' });
  }

  serverMetadata() {
    return Promise.resolve({ name: 'thalamus-expert-host', version: '0.1.0', extensions: EXTENSIONS });
  }

  modelMetadata(request: inference.ModelMetadataRequest) {
    const served = this.library.ready(request.name, request.version);
    const describe = ({ name, datatype, shape }: ExpertValue) => ({
      name,
      datatype,
      shape: shape.map(BigInt),
    });
    return Promise.resolve({
      name: request.name,
      versions: [request.version],
      platform: PLATFORM,
      inputs: served.inputs.map(describe),
      outputs: served.outputs.map(describe),
    });
  }

  async modelInfer(request: inference.ModelInferRequest, context: CallContext): Promise<InferResponse> {
    const startedAt = performance.now();
    const { modelName, modelVersion } = request;
    let outcome = 'failure';
    try {
      const answer = await this.library.use(modelName, modelVersion, async (served) => {
        refuseParameters(request);
        return response(
          request,
          await served.infer(decodeInputs(request), {
            signal: context.signal,
            deadlineAtMs: context.deadlineAtMs,
          }),
        );
      });
      context.setTrailer(RPC_METADATA.timings, `infer=${(performance.now() - startedAt).toFixed(2)}`);
      outcome = 'success';
      return answer;
    } finally {
      // Only of experts that are known: a caller must not make up label values.
      if (this.library.has(modelName, modelVersion))
        this.inferences.add(1, { [ATTRIBUTES.expertName]: modelName, [ATTRIBUTES.outcome]: outcome });
    }
  }

  /** Triton's form: a failed request is a message of the stream, not its end. */
  async *modelStreamInfer(
    requests: AsyncIterable<inference.ModelInferRequest>,
    context: CallContext,
  ): AsyncIterable<MessageInitShape<typeof inference.ModelStreamInferResponseSchema>> {
    for await (const request of requests) {
      try {
        yield { inferResponse: await this.modelInfer(request, context) };
      } catch (fault) {
        const error = toThalamusError(fault);
        yield {
          errorMessage: `${error.code}: ${error.message}`,
          inferResponse: { id: request.id, modelName: request.modelName, modelVersion: request.modelVersion },
        };
      }
    }
  }

  modelConfig(request: inference.ModelConfigRequest) {
    const { manifest } = this.library.ready(request.name, request.version);
    const parameters = {
      task: { stringValue: manifest.task },
      max_tokens: { stringValue: String(manifest.maxTokens) },
      ...(manifest.labels ? { labels: { stringValue: JSON.stringify(manifest.labels) } } : {}),
    };
    return Promise.resolve({ config: { name: request.name, platform: PLATFORM, parameters } });
  }

  modelStatistics(request: inference.ModelStatisticsRequest) {
    const slots =
      request.name === ''
        ? this.library.list()
        : this.library
            .list()
            .filter(
              ({ expert, version }) =>
                expert === request.name && (request.version === '' || version === request.version),
            );
    if (request.name !== '' && slots.length === 0)
      throw new ThalamusError('EXPERT_NOT_FOUND', `No expert ${request.name} is known here.`);
    const modelStats = slots.map(({ expert, version, counts }) => ({
      name: expert,
      version,
      inferenceCount: BigInt(counts.success),
      executionCount: BigInt(counts.success),
      inferenceStats: {
        success: { count: BigInt(counts.success), ns: counts.inferenceNs },
        fail: { count: BigInt(counts.failure), ns: 0n },
      },
    }));
    return Promise.resolve({ modelStats });
  }

  repositoryIndex(request: inference.RepositoryIndexRequest) {
    const models = this.library
      .list()
      .filter(({ state }) => !request.ready || state === 'ready')
      .map(({ expert, version, state, error }) => ({
        name: expert,
        version,
        state: state === 'ready' ? 'READY' : state === 'failed' ? 'UNAVAILABLE' : state.toUpperCase(),
        reason: error?.message ?? '',
      }));
    return Promise.resolve({ models });
  }

  async repositoryModelLoad(request: inference.RepositoryModelLoadRequest) {
    const { name, version } = split(request.modelName);
    if (Object.keys(request.parameters).length > 0)
      throw new ThalamusError(
        'REQUEST_INVALID',
        'Load takes no parameters: models come from the registry, never from a request.',
      );
    await this.library.load(name, version);
    return {};
  }

  async repositoryModelUnload(request: inference.RepositoryModelUnloadRequest) {
    const { name, version } = split(request.modelName);
    await this.library.unload(name, version);
    return {};
  }
}

function split(modelName: string): { name: string; version: string } {
  const [name = '', version = ''] = modelName.split('@');
  if (name === '' || version === '')
    throw new ThalamusError('REQUEST_INVALID', `model_name "${modelName}" must be expert@version here.`, {
      violations: [{ field: 'model_name', description: 'expert@version' }],
    });
  return { name, version };
}

/** Nothing that a caller wishes is ignored: what is not offered is refused. */
function refuseParameters({ parameters, inputs, outputs }: inference.ModelInferRequest): void {
  const fields = [
    ...Object.keys(parameters).map((key) => `parameters.${key}`),
    ...inputs.flatMap((input) =>
      Object.keys(input.parameters).map((key) => `inputs.${input.name}.parameters.${key}`),
    ),
    ...outputs.flatMap((output) =>
      Object.keys(output.parameters).map((key) => `outputs.${output.name}.parameters.${key}`),
    ),
  ];
  if (fields.length > 0)
    throw new ThalamusError(
      'REQUEST_INVALID',
      `The parameter ${fields.join(', ')} is unknown here; hosts take none.`,
      { violations: fields.map((field) => ({ field, description: 'is not a known parameter' })) },
    );
}

function response(request: inference.ModelInferRequest, answer: ExpertAnswer): InferResponse {
  const wanted = request.outputs.map(({ name }) => name);
  for (const name of wanted) {
    if (!answer.outputs.has(name))
      throw new ThalamusError(
        'TENSOR_INVALID',
        `Output ${name} is unknown; there are ${[...answer.outputs.keys()].join(', ')}.`,
        { violations: [{ field: 'outputs', description: name }] },
      );
  }
  const chosen = [...answer.outputs].filter(([name]) => wanted.length === 0 || wanted.includes(name));
  const encoded = chosen.map(([name, value]) =>
    encodeOutput(
      name,
      value,
      name === 'scores' && answer.labels
        ? { labels: { parameterChoice: { case: 'stringParam', value: JSON.stringify(answer.labels) } } }
        : {},
    ),
  );
  return {
    modelName: request.modelName,
    modelVersion: request.modelVersion,
    id: request.id,
    outputs: encoded.map(({ tensor }) => tensor),
    rawOutputContents: encoded.map(({ raw }) => raw),
    parameters: {
      prompt_tokens: { parameterChoice: { case: 'int64Param', value: BigInt(answer.promptTokens) } },
      truncated: { parameterChoice: { case: 'boolParam', value: answer.truncated } },
      batch_size: { parameterChoice: { case: 'int64Param', value: BigInt(answer.batchSize) } },
    },
  };
}
