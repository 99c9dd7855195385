import type { MessageInitShape } from '@bufbuild/protobuf';
import { RPC_METADATA, type inference, type OipCalls } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { HostClient } from '@thalamus/registry';
import type { RequestScope } from '../domain/caller.js';
import { isComposition, parseCompositionName } from '../domain/composition-name.js';
import {
  AUTO,
  AUTO_METADATA,
  autoWish,
  compositionMetadata,
  isAnsweredByLabel,
  isAuto,
} from '../domain/oip-auto.js';
import { autoAnswer } from '../domain/oip-auto-answer.js';
import { textsOf } from '../domain/oip-questions.js';
import { invalid, needText } from '../domain/texts.js';
import type { ResolvedExpert } from './resolve-expert.js';
import type { UseCases } from './use-cases.js';

type Answer = MessageInitShape<typeof inference.ModelInferResponseSchema>;
type Statistics = MessageInitShape<typeof inference.ModelStatisticsResponseSchema>;

/** The scope of a call; asked for by calls that need a caller, and by no other. */
export type ScopeOf = () => RequestScope;

/** Codes of a version that is registered but that no host has, now or ever. */
const NOT_SERVED: ReadonlySet<string> = new Set(['EXPERT_NOT_READY', 'EXPERT_NOT_FOUND']);

/**
 * The Open Inference Protocol at the front door, for gRPC and HTTP: `auto` routes each text and answers label, score and expert, and
 * so does a composition, made or not yet; any other model goes to a host that has it, tensors untouched.
 */
export class OipFront implements OipCalls<ScopeOf> {
  constructor(
    private readonly useCases: UseCases,
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

  async modelReady(request: inference.ModelReadyRequest, scopeOf: ScopeOf) {
    const scope = scopeOf();
    if (isAuto(request.name)) return { ready: this.ready() };
    if (isComposition(request.name)) {
      this.checkComposition(request.name, request.version, scope);
      return { ready: this.ready() };
    }
    const target = this.target(request.name, request.version, scope);
    try {
      return await this.host(target).modelReady(named(target), within(scope));
    } catch (fault) {
      if (NOT_SERVED.has(toThalamusError(fault).code)) return { ready: false };
      throw fault;
    }
  }

  async modelMetadata(
    request: inference.ModelMetadataRequest,
    scopeOf: ScopeOf,
  ): Promise<MessageInitShape<typeof inference.ModelMetadataResponseSchema>> {
    const scope = scopeOf();
    if (isAuto(request.name)) return AUTO_METADATA;
    if (isComposition(request.name)) {
      this.checkComposition(request.name, request.version, scope);
      return compositionMetadata(request.name);
    }
    const target = this.target(request.name, request.version, scope);
    return this.host(target).modelMetadata(named(target), within(scope));
  }

  async modelInfer(request: inference.ModelInferRequest, scopeOf: ScopeOf): Promise<Answer> {
    const scope = scopeOf();
    if (!isAnsweredByLabel(request.modelName)) return this.useCases.inferTensors.run(request, scope);
    const { timeoutMs, ...wish } = autoWish(request);
    const texts = textsOf(request);
    texts.forEach((text, index) => {
      needText(text, `text[${index}]`);
    });
    const deadlineAtMs = Math.min(scope.deadlineAtMs, Date.now() + timeoutMs);
    const answers = await this.useCases.classifyText.runAll(texts, wish, { ...scope, deadlineAtMs });
    return autoAnswer(request, answers);
  }

  async modelConfig(request: inference.ModelConfigRequest, scopeOf: ScopeOf) {
    const scope = scopeOf();
    const target = this.target(request.name, request.version, scope);
    return this.host(target).modelConfig(named(target), within(scope));
  }

  async modelStatistics(request: inference.ModelStatisticsRequest, scopeOf: ScopeOf): Promise<Statistics> {
    const scope = scopeOf();
    if (request.name === '') return this.allStatistics(scope);
    const target = this.target(request.name, request.version, scope);
    return this.host(target).modelStatistics(named(target), within(scope));
  }

  repositoryIndex(request: inference.RepositoryIndexRequest, scopeOf: ScopeOf) {
    const listed = this.useCases.listExperts.run(scopeOf().caller).map(({ expert }) => {
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

  /** Of every expert that the caller may use and some host has: one question to each host that is asked for any of them. */
  private async allStatistics(scope: RequestScope): Promise<Statistics> {
    const wanted = new Map<HostClient, Set<string>>();
    for (const { expert } of this.useCases.listExperts.run(scope.caller)) {
      if (!this.useCases.inferOnHost.isReady(expert.name, expert.stable)) continue;
      const host = this.useCases.inferOnHost.client(expert.name, expert.stable);
      wanted.set(host, (wanted.get(host) ?? new Set()).add(expert.name));
    }
    const answers = await Promise.all(
      [...wanted].map(async ([host, names]) => {
        const { modelStats } = await host.modelStatistics({}, within(scope));
        return modelStats.filter(({ name }) => names.has(name));
      }),
    );
    return { modelStats: answers.flat() };
  }

  /** A composition is ready when its parents are there: until it is made, they answer. @throws for a parent that cannot be used */
  private checkComposition(name: string, version: string, scope: RequestScope): void {
    if (version !== '') throw invalid('version', 'must be empty: a composition has no versions');
    this.useCases.compositions.pinned(parseCompositionName(name), scope);
  }

  private target(name: string, version: string, scope: RequestScope): ResolvedExpert {
    return this.useCases.resolveExpert.run(name, version === '' ? undefined : version, scope);
  }

  private host({ expert, version }: ResolvedExpert) {
    return this.useCases.inferOnHost.client(expert, version);
  }
}

const named = ({ expert, version }: ResolvedExpert) => ({ name: expert, version });

/** What a call of a host may take of the request that it is made for. */
function within({ signal, deadlineAtMs, requestId }: RequestScope) {
  return { signal, deadlineMs: deadlineAtMs - Date.now(), metadata: { [RPC_METADATA.requestId]: requestId } };
}

function notHere(): Promise<never> {
  return Promise.reject(
    new ThalamusError(
      'METHOD_UNSUPPORTED',
      'The gateway loads no models; the registry says what hosts hold, see "thalamus experts".',
    ),
  );
}
