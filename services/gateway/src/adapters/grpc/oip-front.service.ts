import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inference } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import type { ResolvedExpert } from '../../application/resolve-expert.js';
import type { UseCases } from '../../application/use-cases.js';
import type { RequestScope } from '../../domain/caller.js';
import { AUTO, AUTO_METADATA, autoWish, isAuto } from '../../domain/oip-auto.js';
import { autoAnswer } from '../../domain/oip-auto-answer.js';
import { textsOf } from '../../domain/oip-questions.js';
import { needText } from '../../domain/texts.js';
import type { CallScopes } from './call-scopes.js';

type Answer = MessageInitShape<typeof inference.ModelInferResponseSchema>;

const OPERATION = 'ModelInfer';
/** Codes of a version that is registered but that no host has, now or ever. */
const NOT_SERVED: ReadonlySet<string> = new Set(['EXPERT_NOT_READY', 'EXPERT_NOT_FOUND']);

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
    if (isAuto(request.name)) return { ready: this.ready() };
    const target = this.target(request.name, request.version, scope);
    try {
      return await this.host(target).modelReady(
        { name: target.expert, version: target.version },
        { parent: context },
      );
    } catch (fault) {
      if (NOT_SERVED.has(toThalamusError(fault).code)) return { ready: false };
      throw fault;
    }
  }

  async modelMetadata(
    request: inference.ModelMetadataRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof inference.ModelMetadataResponseSchema>> {
    const scope = this.scopes.open(context);
    if (isAuto(request.name)) return AUTO_METADATA;
    const target = this.target(request.name, request.version, scope);
    return this.host(target).modelMetadata(
      { name: target.expert, version: target.version },
      { parent: context },
    );
  }

  modelInfer(request: inference.ModelInferRequest, context: CallContext): Promise<Answer> {
    const operation = { operation: OPERATION, task: '' };
    return this.scopes.run(context, { requestId: request.id, operation }, (scope) =>
      isAuto(request.modelName)
        ? this.inferAuto(request, scope)
        : this.useCases.inferTensors.run(request, scope),
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

  private async inferAuto(request: inference.ModelInferRequest, scope: RequestScope): Promise<Answer> {
    const wish = autoWish(request);
    const texts = textsOf(request);
    texts.forEach((text, index) => {
      needText(text, `text[${index}]`);
    });
    const answers = await this.useCases.classifyText.runAll(texts, wish, scope);
    return autoAnswer(request, answers);
  }

  private target(name: string, version: string, { caller }: RequestScope): ResolvedExpert {
    return this.useCases.resolveExpert.run(name, version === '' ? undefined : version, caller);
  }

  private host({ expert, version }: ResolvedExpert) {
    return this.useCases.inferOnHost.client(expert, version);
  }
}

function notHere(): Promise<never> {
  return Promise.reject(
    new ThalamusError(
      'METHOD_UNSUPPORTED',
      'The gateway loads no models; the registry says what hosts hold, see "thalamus experts".',
    ),
  );
}
