import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inference } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import { INFER_OPERATION } from '../../application/infer-tensors.js';
import type { OipFront, ScopeOf } from '../../application/oip-front.js';
import type { CallScopes } from './call-scopes.js';

type Answer = MessageInitShape<typeof inference.ModelInferResponseSchema>;

/** The Open Inference Protocol over gRPC. */
export class OipFrontService implements ServiceImplementation<typeof inference.GRPCInferenceService> {
  constructor(
    private readonly front: OipFront,
    private readonly scopes: CallScopes,
  ) {}

  serverLive() {
    return this.front.serverLive();
  }

  serverReady() {
    return this.front.serverReady();
  }

  serverMetadata() {
    return this.front.serverMetadata();
  }

  modelReady(request: inference.ModelReadyRequest, context: CallContext) {
    return this.front.modelReady(request, this.scopeOf(context));
  }

  modelMetadata(request: inference.ModelMetadataRequest, context: CallContext) {
    return this.front.modelMetadata(request, this.scopeOf(context));
  }

  modelInfer(request: inference.ModelInferRequest, context: CallContext): Promise<Answer> {
    const call = { requestId: request.id, operation: INFER_OPERATION };
    return this.scopes.run(context, call, (scope) => this.front.modelInfer(request, () => scope));
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

  modelConfig(request: inference.ModelConfigRequest, context: CallContext) {
    return this.front.modelConfig(request, this.scopeOf(context));
  }

  modelStatistics(request: inference.ModelStatisticsRequest, context: CallContext) {
    return this.front.modelStatistics(request, this.scopeOf(context));
  }

  repositoryIndex(request: inference.RepositoryIndexRequest, context: CallContext) {
    return this.front.repositoryIndex(request, this.scopeOf(context));
  }

  repositoryModelLoad(): Promise<never> {
    return this.front.repositoryModelLoad();
  }

  repositoryModelUnload(): Promise<never> {
    return this.front.repositoryModelUnload();
  }

  private scopeOf(context: CallContext): ScopeOf {
    return () => this.scopes.open(context);
  }
}
