import type { MessageInitShape } from '@bufbuild/protobuf';
import { composerV1, inference, routerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { GrpcServer, implementService, type CallContext, type ServiceImplementation } from '@thalamus/grpc';

type RouteAnswer = MessageInitShape<typeof routerV1.RouteResponseSchema>;
type InferAnswer = MessageInitShape<typeof inference.ModelInferResponseSchema>;
type CheckAnswer = MessageInitShape<typeof composerV1.PreflightResponseSchema>;
type Made = MessageInitShape<typeof composerV1.CompositionSchema>;
type Host = ServiceImplementation<typeof inference.GRPCInferenceService>;

/** What the next calls of a fake are answered with; tests set it, `reset` sets it back. */
export class FakeRouter implements ServiceImplementation<typeof routerV1.RouterService> {
  readonly requests: routerV1.RouteRequest[] = [];
  answer: (request: routerV1.RouteRequest, context: CallContext) => Promise<RouteAnswer> = decided;

  reset(): void {
    this.requests.length = 0;
    this.answer = decided;
  }

  route(request: routerV1.RouteRequest, context: CallContext): Promise<RouteAnswer> {
    this.requests.push(request);
    return this.answer(request, context);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- refuses before it yields
  async *routeStream(): AsyncIterable<never> {
    throw unsupported();
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- refuses before it yields
  async *explain(): AsyncIterable<never> {
    throw unsupported();
  }

  listRouterModels() {
    return Promise.resolve({ models: [] });
  }
}

/** A decision for `banking`, with `clinic` next. */
export function decision(extra: MessageInitShape<typeof routerV1.DecisionSchema> = {}) {
  const ranked = (expert: string, loss: number) => ({
    expert,
    fittedVersion: '1',
    predictedLoss: loss,
    lossLow: loss - 0.1,
    lossHigh: loss + 0.1,
    costs: [{ name: 'size', value: 0.25, weight: 0.5 }],
    total: loss + 0.125,
    propensity: expert === 'banking' ? 1 : 0,
  });
  return {
    ranked: [ranked('banking', 0.25), ranked('clinic', 1.5)],
    rejected: [{ filter: 'licence', count: 2, description: 'has a licence of MIT' }],
    reason: 'banking has the least total.',
    routerModel: 'test-router',
    routerModelVersion: '3',
    lossUnit: 'nats',
    encoderDigest: `sha256:${'e'.repeat(64)}`,
    regionId: 7,
    promptTokens: 9,
    ...extra,
  };
}

function decided(request: routerV1.RouteRequest): Promise<RouteAnswer> {
  return Promise.resolve({
    decision: decision({ flags: request.flags }),
    strippedPrompt: request.prompt.replace(/^\[flag[^\]]*\]\s*/, ''),
    timings: [
      { stage: 'encode', durationMs: 2.5 },
      { stage: 'decide', durationMs: 0.1 },
    ],
  });
}

/** A composer that can make nothing until a test says what it makes. */
export class FakeComposer implements ServiceImplementation<typeof composerV1.ComposerService> {
  readonly checks: composerV1.PreflightRequest[] = [];
  readonly builds: composerV1.ComposeRequest[] = [];
  /** Builds that the caller has given up before they were made. */
  cancelled = 0;
  check: (request: composerV1.PreflightRequest) => Promise<CheckAnswer> = away;
  make: (request: composerV1.ComposeRequest) => Promise<Made> = away;

  reset(): void {
    this.checks.length = 0;
    this.builds.length = 0;
    this.cancelled = 0;
    this.check = away;
    this.make = away;
  }

  preflight(request: composerV1.PreflightRequest): Promise<CheckAnswer> {
    this.checks.push(request);
    return this.check(request);
  }

  async *compose(
    request: composerV1.ComposeRequest,
    context: CallContext,
  ): AsyncIterable<MessageInitShape<typeof composerV1.ComposeResponseSchema>> {
    this.builds.push(request);
    let isMade = false;
    context.signal.addEventListener('abort', () => (this.cancelled += isMade ? 0 : 1));
    yield { event: { case: 'progress', value: { stage: 'router', done: 1n, total: 2n } } };
    const made = await this.make(request);
    isMade = true;
    yield { event: { case: 'composition', value: made } };
  }

  getComposition(): Promise<never> {
    return away();
  }

  listMethods() {
    return Promise.resolve({ methods: [] });
  }
}

function away(): Promise<never> {
  return Promise.reject(new ThalamusError('UPSTREAM_UNAVAILABLE', 'The composer is away.'));
}

/** A host that classifies every text alike: `card_lost` 0.75, `other` 0.25. */
export class FakeHost {
  readonly requests: inference.ModelInferRequest[] = [];
  answer: (request: inference.ModelInferRequest, context: CallContext) => Promise<InferAnswer> = inferred;

  reset(): void {
    this.requests.length = 0;
    this.answer = inferred;
  }

  /** All methods but the ones below refuse. */
  implementation(): Host {
    const own: Partial<Host> = {
      modelInfer: (request, context) => {
        this.requests.push(request);
        return this.answer(request, context);
      },
      modelReady: () => Promise.resolve({ ready: true }),
      modelMetadata: ({ name, version }) => Promise.resolve({ name, versions: [version] }),
      modelConfig: ({ name }) => Promise.resolve({ config: { name, platform: 'fake' } }),
      modelStatistics: ({ name, version }) =>
        Promise.resolve({
          modelStats: ['banking', 'clinic', 'private']
            .filter((own) => name === '' || name === own)
            .map((own) => ({ name: own, version: version || '1', inferenceCount: 2n ** 60n + 1n })),
        }),
    };
    // Every property that is asked for is a method: one of `own`, or one that refuses.
    return new Proxy(own, {
      get: (target, name) => (Reflect.get(target, name) as unknown) ?? (() => Promise.reject(unsupported())),
    }) as Host;
  }
}

function inferred(request: inference.ModelInferRequest): Promise<InferAnswer> {
  const count = Number(request.inputs[0]?.shape[0] ?? 0n);
  const common = {
    id: request.id,
    modelName: request.modelName,
    modelVersion: request.modelVersion,
    parameters: {
      prompt_tokens: { parameterChoice: { case: 'int64Param' as const, value: BigInt(count * 5) } },
      truncated: { parameterChoice: { case: 'boolParam' as const, value: false } },
    },
  };
  if (request.modelName === 'base')
    return Promise.resolve({
      ...common,
      outputs: [{ name: 'embedding', datatype: 'FP32', shape: [BigInt(count), 2n] }],
      rawOutputContents: [floats(Array.from({ length: count }, () => [0.6, 0.8]).flat())],
    });
  const labels = { parameterChoice: { case: 'stringParam' as const, value: '["other","card_lost"]' } };
  return Promise.resolve({
    ...common,
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [BigInt(count), 2n], parameters: { labels } }],
    rawOutputContents: [floats(Array.from({ length: count }, () => [0.25, 0.75]).flat())],
  });
}

const floats = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

function unsupported(): ThalamusError {
  return new ThalamusError('METHOD_UNSUPPORTED', 'This fake does not offer that.');
}

/** Starts a server of fakes on a free port of this machine. */
export async function serve(router: FakeRouter, host: FakeHost, composer: FakeComposer): Promise<GrpcServer> {
  const server = new GrpcServer({
    host: '127.0.0.1',
    port: 0,
    services: [
      implementService(routerV1.RouterService, router),
      implementService(composerV1.ComposerService, composer),
      implementService(inference.GRPCInferenceService, host.implementation()),
    ],
  });
  await server.start();
  return server;
}
