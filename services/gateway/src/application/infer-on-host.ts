import type { MessageInitShape } from '@bufbuild/protobuf';
import { RPC_METADATA, type inference } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { HostClient, HostConnections } from '@thalamus/registry';
import type { RequestScope } from '../domain/caller.js';
import type { ChooseHost } from './choose-host.js';

/** What a host is asked, but for the version. */
export type HostRequest = Omit<
  MessageInitShape<typeof inference.ModelInferRequestSchema>,
  '$typeName' | '$unknown'
>;

/**
 * How often a host may be asked: a second time, if need be the same host after a moment; a second time by another host alone; once.
 */
export type Tries = 'twice' | 'elsewhere' | 'once';

/** Codes after which another try, on another host when there is one, may succeed. */
const RETRIED = new Set(['EXPERT_CRASHED', 'UPSTREAM_UNAVAILABLE', 'EXPERT_NOT_READY']);
/** Retries may be at most this share of requests, and a few more at the beginning. */
const RETRY_SHARE = 0.2;
const RETRY_RESERVE = 10;

/** Calls hosts: best first, one more try within a budget, never beyond the deadline. */
export class InferOnHost {
  private budget = RETRY_RESERVE;

  constructor(
    private readonly chooseHost: ChooseHost,
    private readonly connections: HostConnections,
  ) {}

  async run(
    expert: string,
    version: string,
    request: HostRequest,
    scope: RequestScope,
    tries: Tries = 'twice',
  ): Promise<inference.ModelInferResponse> {
    this.budget = Math.min(RETRY_RESERVE, this.budget + RETRY_SHARE);
    const hosts = await this.chooseHost.soon(expert, version, scope);
    const message = { ...request, modelName: expert, modelVersion: version };
    try {
      return await this.callTwice(hosts, message, scope, tries);
    } catch (fault) {
      throw forCallers(fault, `${expert}@${version}`);
    }
  }

  /** Whether some host has the version ready. */
  isReady(expert: string, version: string): boolean {
    return this.chooseHost.has(expert, version);
  }

  /** Any host that is alive, for questions about a version. */
  client(expert: string, version: string): HostClient {
    return this.connections.to(this.chooseHost.run(expert, version)[0] as string);
  }

  private async callTwice(
    hosts: readonly string[],
    message: MessageInitShape<typeof inference.ModelInferRequestSchema>,
    scope: RequestScope,
    tries: Tries,
  ): Promise<inference.ModelInferResponse> {
    try {
      return await this.call(hosts[0] as string, message, scope);
    } catch (fault) {
      const error = toThalamusError(fault);
      const left = scope.deadlineAtMs - Date.now();
      if (tries === 'once' || (tries === 'elsewhere' && hosts.length === 1)) throw error;
      if (!RETRIED.has(error.code) || this.budget < 1 || left < 50 || scope.signal.aborted) throw error;
      this.budget -= 1;
      // One host alone gets a moment to come back.
      if (hosts.length === 1)
        await new Promise((resolve) => setTimeout(resolve, Math.min(error.retryAfterMs ?? 200, left / 2)));
      return this.call(hosts[1] ?? (hosts[0] as string), message, scope);
    }
  }

  private call(
    address: string,
    request: MessageInitShape<typeof inference.ModelInferRequestSchema>,
    scope: RequestScope,
  ): Promise<inference.ModelInferResponse> {
    const deadlineMs = scope.deadlineAtMs - Date.now();
    if (deadlineMs <= 0)
      throw new ThalamusError('DEADLINE_EXCEEDED', 'No time was left to ask the expert; allow more.');
    return this.connections.to(address).modelInfer(request, {
      signal: scope.signal,
      deadlineMs,
      metadata: {
        [RPC_METADATA.requestId]: scope.requestId,
        [RPC_METADATA.tenant]: scope.caller.tenant,
      },
    });
  }
}

/** Callers are told what to do, not where a host would be. */
function forCallers(fault: unknown, version: string): ThalamusError {
  const error = toThalamusError(fault);
  if (error.code !== 'UPSTREAM_UNAVAILABLE') return error;
  return new ThalamusError(
    'UPSTREAM_UNAVAILABLE',
    `The host that has ${version} cannot be reached just now; try again in a moment.`,
    { cause: error, retryAfterMs: 1_000 },
  );
}
