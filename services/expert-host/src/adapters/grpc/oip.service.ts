import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inference } from '@thalamus/contracts';
import { ATTRIBUTES, METRICS, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import { counter } from '@thalamus/telemetry';
import type { ExpertLibrary } from '../../application/expert-library.js';
import { readLoadParameters, readParameters, readTimeout } from '../../domain/oip-parameters.js';
import { decodeInputs } from '../../domain/oip-tensors.js';
import { config, EXTENSIONS, indexEntry, metadata, statistics, type ModelName } from './oip-describe.js';
import { FINAL, inferResponse, type InferResponse } from './oip-response.js';

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
    const { name, version } = this.named(request);
    const ready = this.library.isReady(name, version);
    // A name that nobody knows is an error; a version that is not loaded is not ready.
    if (!ready) this.library.names.requireKnown(name, version);
    return Promise.resolve({ ready });
  }

  serverMetadata() {
    return Promise.resolve({ name: 'thalamus-expert-host', version: '0.1.0', extensions: EXTENSIONS });
  }

  async modelMetadata(request: inference.ModelMetadataRequest, context: CallContext) {
    const model = this.named(request);
    const described = await this.library.describe(model.name, model.version, context);
    const versions = this.library
      .list()
      .filter(({ expert, state }) => expert === model.name && state === 'ready');
    return metadata(
      model,
      versions.map(({ version }) => version),
      described,
    );
  }

  modelInfer(request: inference.ModelInferRequest, context: CallContext): Promise<InferResponse> {
    return this.infer(request, context, false);
  }

  /** Triton's form: a failed request is a message of the stream, not its end. */
  async *modelStreamInfer(
    requests: AsyncIterable<inference.ModelInferRequest>,
    context: CallContext,
  ): AsyncIterable<MessageInitShape<typeof inference.ModelStreamInferResponseSchema>> {
    for await (const request of requests) {
      try {
        yield { inferResponse: await this.infer(request, context, true) };
      } catch (fault) {
        const error = toThalamusError(fault);
        const { id, modelName, modelVersion } = request;
        yield {
          errorMessage: `${error.code}: ${error.message}`,
          inferResponse: { id, modelName, modelVersion, parameters: FINAL },
        };
      }
    }
  }

  async modelConfig(
    request: inference.ModelConfigRequest,
    context: CallContext,
  ): Promise<ReturnType<typeof config>> {
    const model = this.named(request);
    return config(model, await this.library.describe(model.name, model.version, context));
  }

  modelStatistics(request: inference.ModelStatisticsRequest) {
    const slots = this.library
      .list()
      .filter(
        ({ expert, version }) =>
          (request.name === '' || expert === request.name) &&
          (request.version === '' || version === request.version),
      );
    if (request.name !== '' && slots.length === 0)
      throw new ThalamusError('EXPERT_NOT_FOUND', `No expert ${request.name} is known here.`);
    return Promise.resolve({ modelStats: slots.map(statistics) });
  }

  repositoryIndex(request: inference.RepositoryIndexRequest) {
    refuseRepository(request.repositoryName);
    const slots = this.library.list().filter(({ state }) => !request.ready || state === 'ready');
    return Promise.resolve({ models: slots.map(indexEntry) });
  }

  async repositoryModelLoad(request: inference.RepositoryModelLoadRequest, context: CallContext) {
    refuseRepository(request.repositoryName);
    const { name, version } = split(request.modelName);
    const wish = readLoadParameters(request.parameters);
    const versions = version === '' ? this.library.names.channelVersions(name) : [version];
    await Promise.all(versions.map((each) => this.library.load(name, each, wish, context)));
    return {};
  }

  /** Triton's `unload_dependents` may be given: nothing that is served here depends on another model's being served. */
  async repositoryModelUnload(request: inference.RepositoryModelUnloadRequest) {
    refuseRepository(request.repositoryName);
    const { name, version } = split(request.modelName);
    const loaded = this.library.list().filter(({ expert }) => expert === name);
    if (version === '' && loaded.length === 0) this.library.names.channelVersions(name);
    const versions = version === '' ? loaded.map((slot) => slot.version) : [version];
    await Promise.all(versions.map((each) => this.library.unload(name, each)));
    return {};
  }

  private async infer(
    request: inference.ModelInferRequest,
    context: CallContext,
    isOfStream: boolean,
  ): Promise<InferResponse> {
    const startedAt = performance.now();
    const { name, version } = this.named({ name: request.modelName, version: request.modelVersion });
    let outcome = 'failure';
    try {
      const timeoutMs = readTimeout(request);
      const deadlineAtMs = earlier(context.deadlineAtMs, timeoutMs);
      const answer = await within(timeoutMs, context.signal, (signal) =>
        this.library.use(name, version, { signal, deadlineAtMs }, async (served) => {
          const { values, classes } = readParameters(request, served.parameters);
          const inputs = decodeInputs(request);
          const { tenant } = context;
          const answered = await served.infer(inputs, { signal, deadlineAtMs, tenant, parameters: values });
          return inferResponse({ request, version, classes, isOfStream }, answered);
        }),
      );
      context.setTrailer(RPC_METADATA.timings, `infer=${(performance.now() - startedAt).toFixed(2)}`);
      outcome = 'success';
      return answer;
    } finally {
      // Only of experts that are known: a caller must not make up label values.
      if (this.library.has(name, version))
        this.inferences.add(1, { [ATTRIBUTES.expertName]: name, [ATTRIBUTES.outcome]: outcome });
    }
  }

  /** The model that is meant: an empty version is the stable one. */
  private named({ name, version }: ModelName): ModelName {
    return { name, version: this.library.names.versionOf(name, version) };
  }
}

/** `expert`, or `expert@version`: the protocol's own messages name no version here. */
function split(modelName: string): ModelName {
  const [name = '', version, ...more] = modelName.split('@');
  if (name === '' || version === '' || more.length > 0)
    throw new ThalamusError(
      'REQUEST_INVALID',
      `model_name "${modelName.slice(0, 64)}" must be an expert, or expert@version.`,
      { violations: [{ field: 'model_name', description: 'expert or expert@version' }] },
    );
  return { name, version: version ?? '' };
}

function refuseRepository(name: string): void {
  if (name !== '')
    throw new ThalamusError('REQUEST_INVALID', 'repository_name must be empty: there is one repository.', {
      violations: [{ field: 'repository_name', description: 'must be empty' }],
    });
}

/** The earlier of a deadline and a time from now; undefined when there is neither. */
function earlier(deadlineAtMs: number | undefined, timeoutMs: number | undefined): number | undefined {
  if (timeoutMs === undefined) return deadlineAtMs;
  return Math.min(deadlineAtMs ?? Infinity, Date.now() + timeoutMs);
}

/** Runs work with a signal that fires, too, when the time that the caller gave has passed. */
async function within<T>(
  timeoutMs: number | undefined,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (timeoutMs === undefined) return work(signal);
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(
      new ThalamusError(
        'DEADLINE_EXCEEDED',
        `The answer was not ready within the ${timeoutMs * 1000} microseconds of the parameter timeout; allow more.`,
      ),
    );
  }, timeoutMs);
  try {
    return await work(AbortSignal.any([signal, late.signal]));
  } finally {
    clearTimeout(timer);
  }
}
