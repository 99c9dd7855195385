import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inference } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import { parseFlags } from '@thalamus/routing';
import type { ResolvedExpert } from '../../application/resolve-expert.js';
import type { UseCases } from '../../application/use-cases.js';
import type { RequestScope } from '../../domain/caller.js';
import { textsOf } from '../../domain/oip-questions.js';
import type { CallScopes } from './call-scopes.js';

type Answer = MessageInitShape<typeof inference.ModelInferResponseSchema>;

const AUTO = 'auto';
/** Parameter of a request to `auto` that carries flags, as "size=0.5, latency=high". */
const FLAGS_PARAMETER = 'flags';

/**
 * The Open Inference Protocol at the front door: `auto` routes each text and answers label, score and expert; any
 * other model goes to a host that has it, tensors untouched.
 */
export class OipFrontService implements ServiceImplementation<typeof inference.GRPCInferenceService> {
  constructor(
    private readonly useCases: UseCases,
    private readonly scopes: CallScopes,
    private readonly ready: () => boolean,
  ) {}

  serverLive() {
    return Promise.resolve({ live: true });
  }

  serverReady() {
    return Promise.resolve({ ready: this.ready() });
  }

  serverMetadata() {
    const extensions = ['binary_tensor_data', 'model_repository', 'model_configuration', 'statistics'];
    return Promise.resolve({ name: 'thalamus', version: '0.1.0', extensions });
  }

  async modelReady(request: inference.ModelReadyRequest, context: CallContext) {
    const scope = this.scopes.open(context);
    if (request.name === AUTO) return { ready: this.ready() };
    const target = this.target(request.name, request.version, scope);
    try {
      return await this.host(target).modelReady(
        { name: target.expert, version: target.version },
        { parent: context },
      );
    } catch (fault) {
      if (toThalamusError(fault).code === 'EXPERT_NOT_READY') return { ready: false };
      throw fault;
    }
  }

  async modelMetadata(
    request: inference.ModelMetadataRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof inference.ModelMetadataResponseSchema>> {
    const scope = this.scopes.open(context);
    if (request.name === AUTO) return AUTO_METADATA;
    const target = this.target(request.name, request.version, scope);
    return this.host(target).modelMetadata(
      { name: target.expert, version: target.version },
      { parent: context },
    );
  }

  modelInfer(request: inference.ModelInferRequest, context: CallContext): Promise<Answer> {
    return this.scopes.run(context, request.id, (scope) =>
      request.modelName === AUTO ? this.inferAuto(request, scope) : this.inferNamed(request, scope),
    );
  }

  /** Triton's form: a failed request is a message of the stream, not its end. */
  async *modelStreamInfer(
    requests: AsyncIterable<inference.ModelInferRequest>,
    context: CallContext,
  ): AsyncIterable<MessageInitShape<typeof inference.ModelStreamInferResponseSchema>> {
    for await (const request of requests) {
      const { id, modelName, modelVersion } = request;
      try {
        yield { inferResponse: await this.modelInfer(request, context) };
      } catch (fault) {
        const { code, message } = toThalamusError(fault);
        yield { errorMessage: `${code}: ${message}`, inferResponse: { id, modelName, modelVersion } };
      }
    }
  }

  async modelConfig(request: inference.ModelConfigRequest, context: CallContext) {
    const target = this.target(request.name, request.version, this.scopes.open(context));
    return this.host(target).modelConfig(
      { name: target.expert, version: target.version },
      { parent: context },
    );
  }

  async modelStatistics(request: inference.ModelStatisticsRequest, context: CallContext) {
    const target = this.target(request.name, request.version, this.scopes.open(context));
    return this.host(target).modelStatistics(
      { name: target.expert, version: target.version },
      { parent: context },
    );
  }

  repositoryIndex(request: inference.RepositoryIndexRequest, context: CallContext) {
    const { caller } = this.scopes.open(context);
    const listed = this.useCases.listExperts.run(caller).map(({ expert }) => {
      const ready = this.useCases.inferOnHost.isReady(expert.name, expert.stable);
      return { name: expert.name, version: expert.stable, state: ready ? 'READY' : 'UNAVAILABLE' };
    });
    const models = [{ name: AUTO, version: '', state: this.ready() ? 'READY' : 'UNAVAILABLE' }, ...listed];
    return Promise.resolve({ models: models.filter(({ state }) => !request.ready || state === 'READY') });
  }

  repositoryModelLoad(): Promise<never> {
    return notHere();
  }

  repositoryModelUnload(): Promise<never> {
    return notHere();
  }

  systemSharedMemoryStatus(): Promise<never> {
    return noSharedMemory();
  }

  systemSharedMemoryRegister(): Promise<never> {
    return noSharedMemory();
  }

  systemSharedMemoryUnregister(): Promise<never> {
    return noSharedMemory();
  }

  cudaSharedMemoryStatus(): Promise<never> {
    return noSharedMemory();
  }

  cudaSharedMemoryRegister(): Promise<never> {
    return noSharedMemory();
  }

  cudaSharedMemoryUnregister(): Promise<never> {
    return noSharedMemory();
  }

  traceSetting(): Promise<never> {
    return Promise.reject(
      new ThalamusError('METHOD_UNSUPPORTED', 'Trace settings are made with OTEL_* variables, not by calls.'),
    );
  }

  logSettings(): Promise<never> {
    return Promise.reject(
      new ThalamusError('METHOD_UNSUPPORTED', 'Log settings are made with THALAMUS_LOG_LEVEL, not by calls.'),
    );
  }

  private async inferNamed(request: inference.ModelInferRequest, scope: RequestScope): Promise<Answer> {
    const target = this.target(request.modelName, request.modelVersion, scope);
    const { id, parameters, inputs, outputs, rawInputContents } = request;
    const passed = { id, parameters, inputs, outputs, rawInputContents };
    return this.useCases.inferOnHost.run(target.expert, target.version, passed, scope);
  }

  private async inferAuto(request: inference.ModelInferRequest, scope: RequestScope): Promise<Answer> {
    const flagsText = request.parameters[FLAGS_PARAMETER]?.parameterChoice;
    const flags = flagsText?.case === 'stringParam' ? parseFlags(flagsText.value) : [];
    const answers = await Promise.all(
      textsOf(request).map((input) =>
        this.useCases.classifyText.run({ input, model: AUTO, flags, topLabels: 1 }, scope),
      ),
    );
    const encoder = new TextEncoder();
    const shape = [BigInt(answers.length)];
    const bytes = (name: string, values: readonly string[]) => ({
      name,
      datatype: 'BYTES',
      shape,
      contents: { bytesContents: values.map((value) => encoder.encode(value)) },
    });
    return {
      id: request.id,
      modelName: AUTO,
      outputs: [
        bytes(
          'label',
          answers.map(({ scores }) => scores[0]?.label ?? ''),
        ),
        {
          name: 'score',
          datatype: 'FP32',
          shape,
          contents: { fp32Contents: answers.map(({ scores }) => scores[0]?.score ?? 0) },
        },
        bytes(
          'expert',
          answers.map(({ expert, version }) => `${expert}@${version}`),
        ),
      ],
    };
  }

  private target(name: string, version: string, { caller }: RequestScope): ResolvedExpert {
    return this.useCases.resolveExpert.run(name, version === '' ? undefined : version, caller);
  }

  private host({ expert, version }: ResolvedExpert) {
    return this.useCases.inferOnHost.client(expert, version);
  }
}

const AUTO_METADATA: MessageInitShape<typeof inference.ModelMetadataResponseSchema> = {
  name: AUTO,
  versions: [],
  platform: 'thalamus_router',
  inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1n] }],
  outputs: [
    { name: 'label', datatype: 'BYTES', shape: [-1n] },
    { name: 'score', datatype: 'FP32', shape: [-1n] },
    { name: 'expert', datatype: 'BYTES', shape: [-1n] },
  ],
};

function notHere(): Promise<never> {
  return Promise.reject(
    new ThalamusError(
      'METHOD_UNSUPPORTED',
      'The gateway loads no models; the registry says what hosts hold, see "thalamus experts".',
    ),
  );
}

function noSharedMemory(): Promise<never> {
  return Promise.reject(
    new ThalamusError('METHOD_UNSUPPORTED', 'Shared memory is not offered; send tensors in the message.'),
  );
}
