import { inference } from '@thalamus/contracts';
import { createClient, type RpcClient } from '@thalamus/grpc';
import type { ResidencyView } from './residency-view.js';

/** A client of one host. */
export type HostClient = RpcClient<typeof inference.GRPCInferenceService>;

/** How often hosts that are gone are looked for, milliseconds: far less than their lease, so that none is kept long. */
const SWEEP_MS = 1_000;
const DEADLINE_MS = 10_000;

/** One connection to each host that is asked; those to hosts that are gone are closed, for they would be tried for ever. */
export class HostConnections {
  readonly name = 'connections to hosts';
  private readonly clients = new Map<string, HostClient>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly residency: Pick<ResidencyView, 'hosts'>) {}

  start(): Promise<void> {
    this.timer = setInterval(() => {
      this.closeGone();
    }, SWEEP_MS).unref();
    return Promise.resolve();
  }

  close(): Promise<void> {
    clearInterval(this.timer);
    for (const client of this.clients.values()) client.close();
    this.clients.clear();
    return Promise.resolve();
  }

  /** The client of a host:port. */
  to(address: string): HostClient {
    let client = this.clients.get(address);
    if (!client) {
      client = createClient(inference.GRPCInferenceService, { address, defaultDeadlineMs: DEADLINE_MS });
      this.clients.set(address, client);
    }
    return client;
  }

  /** Calls under way come to their end on a closed connection. */
  private closeGone(): void {
    const alive = new Set(this.residency.hosts());
    for (const [address, client] of this.clients) {
      if (alive.has(address)) continue;
      client.close();
      this.clients.delete(address);
    }
  }
}
