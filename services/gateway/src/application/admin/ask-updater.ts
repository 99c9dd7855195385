import { artifactV1, registryV1, releaseV1, RPC_METADATA } from '@thalamus/contracts';
import { toThalamusError, type ThalamusError } from '@thalamus/errors';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { RemoteArtifactStore } from '@thalamus/registry';
import { randomUUID } from 'node:crypto';
import type { RequestScope } from '../../domain/caller.js';
import { MESH_TENANT } from '../../domain/tenancy.js';

/** What an updater offers to the admin API. */
export interface UpdaterClients {
  readonly registry: RpcClient<typeof registryV1.RegistryService>;
  readonly release: RpcClient<typeof releaseV1.ReleaseService>;
  readonly artifacts: RemoteArtifactStore;
}

/** Limits of one call, and who makes it. */
export interface UpdaterCall {
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  readonly metadata: Readonly<Record<string, string>>;
}

type Ask<T> = (clients: UpdaterClients, call: UpdaterCall) => Promise<T>;

interface Connection extends UpdaterClients {
  readonly address: string;
  close(): void;
}

const DEFAULT_DEADLINE_MS = 10_000;
/** Leaders that one request follows: one, and one more when leadership moved on meanwhile. */
const MAX_HOPS = 2;

/** Calls the updater in the name of a caller. A replica that does not write names the one that does; that one is asked then, and first from there on. */
export class AskUpdater {
  private readonly home: Connection;
  private leader: Connection | undefined;

  constructor(address: string) {
    this.home = connect(address);
  }

  /** @throws what the updater says; NOT_LEADER only when no leader can be found */
  async run<T>(scope: RequestScope, ask: Ask<T>): Promise<T> {
    for (let hops = 0; ; hops++) {
      const connection = this.leader ?? this.home;
      try {
        return await ask(connection, callOf(scope));
      } catch (fault) {
        const error = toThalamusError(fault);
        if (!this.turnTo(error, connection) || hops >= MAX_HOPS) throw error;
      }
    }
  }

  /** Says that an expert is in use, in the name of the gateway. @throws as `run` */
  async renew(expert: string): Promise<void> {
    const caller = { tenant: MESH_TENANT, role: 'operator', id: 'gateway' } as const;
    const scope = {
      caller,
      requestId: randomUUID(),
      signal: AbortSignal.timeout(DEFAULT_DEADLINE_MS),
      deadlineAtMs: Date.now() + DEFAULT_DEADLINE_MS,
      completion: { isRecorded: false },
    };
    await this.run(scope, ({ registry }, call) => registry.renewExpert({ expert }, call));
  }

  close(): void {
    this.home.close();
    this.leader?.close();
  }

  /** Whether another updater is to be asked now. */
  private turnTo(error: ThalamusError, asked: Connection): boolean {
    // Whether a write went through is not known then, so it is not repeated; the next one finds its way from home.
    if (error.code === 'UPSTREAM_UNAVAILABLE') this.follow(undefined);
    if (error.code !== 'NOT_LEADER') return false;
    const leader = error.metadata['leader'] ?? '';
    if (leader === '' || leader === asked.address) {
      this.follow(undefined);
      return false;
    }
    this.follow(leader);
    return true;
  }

  private follow(address: string | undefined): void {
    if (this.leader?.address === address) return;
    this.leader?.close();
    this.leader = address === undefined || address === this.home.address ? undefined : connect(address);
  }
}

function connect(address: string): Connection {
  const options = { address, defaultDeadlineMs: DEFAULT_DEADLINE_MS };
  const registry = createClient(registryV1.RegistryService, options);
  const release = createClient(releaseV1.ReleaseService, options);
  const artifact = createClient(artifactV1.ArtifactService, options);
  const close = () => {
    for (const client of [registry, release, artifact]) client.close();
  };
  return { address, registry, release, artifacts: new RemoteArtifactStore(artifact), close };
}

function callOf({ caller, requestId, signal, deadlineAtMs }: RequestScope): UpdaterCall {
  return {
    signal,
    deadlineMs: deadlineAtMs - Date.now(),
    metadata: {
      [RPC_METADATA.actor]: caller.id,
      [RPC_METADATA.tenant]: caller.tenant,
      [RPC_METADATA.requestId]: requestId,
    },
  };
}
