import { bestLabels, RPC_METADATA, textsRequest } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { HostConnections, ResidencyView } from '@thalamus/registry';
import { randomUUID } from 'node:crypto';
import type { AskLabel } from '../../application/release/labels.port.js';
import { UPDATER } from '../../application/release/step-holds.js';

/** How long a host may take for one text, milliseconds. */
const DEADLINE_MS = 5_000;

/** Asks hosts by their addresses, over the Open Inference Protocol, as gateways do: those that have the version ready first, in turn. */
export class HostLabels implements AskLabel {
  private turn = 0;

  constructor(
    private readonly residency: Pick<ResidencyView, 'hostsFor' | 'hostsThatLoad'>,
    private readonly connections: Pick<HostConnections, 'to'>,
  ) {}

  canAsk(expert: string, version: string): boolean {
    return this.addresses(expert, version).length > 0;
  }

  async labelOf(expert: string, version: string, text: string, signal: AbortSignal): Promise<string> {
    const addresses = this.addresses(expert, version);
    const address = addresses[this.turn++ % addresses.length];
    if (address === undefined)
      throw new ThalamusError('EXPERT_NOT_READY', `No host has ${expert}@${version} ready.`);
    const requestId = `probe-${randomUUID()}`;
    const request = { ...textsRequest([text], requestId), modelName: expert, modelVersion: version };
    const response = await this.connections.to(address).modelInfer(request, {
      signal,
      deadlineMs: DEADLINE_MS,
      metadata: { [RPC_METADATA.requestId]: requestId, [RPC_METADATA.tenant]: UPDATER.tenant },
    });
    const [label] = bestLabels(response) ?? [];
    if (label !== undefined) return label;
    throw new ThalamusError('UPSTREAM_ERROR', `${expert}@${version} answered a probe without a label.`);
  }

  private addresses(expert: string, version: string): string[] {
    const ready = this.residency.hostsFor(expert, version);
    const hosts = ready.length > 0 ? ready : this.residency.hostsThatLoad(expert, version);
    return [...new Set(hosts.map(({ address }) => address))].sort();
  }
}
