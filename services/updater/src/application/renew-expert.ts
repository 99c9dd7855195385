import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import type { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Actor, RegistryWriter } from './registry-writer.js';

/** An expert is written anew only when it has at most this share of its time to live left. */
const DUE_SHARE = 0.75;

/** What came of a use. */
export interface RenewedExpert {
  readonly expert: registryV1.Resource;
  readonly renewed: boolean;
}

/** Moves the end of an expert that is in use: at most one write a quarter of its time to live, however many gateways tell of it. */
export class RenewExpert {
  constructor(
    private readonly view: Pick<RegistryView, 'get' | 'expert'>,
    private readonly writer: Pick<RegistryWriter, 'write'>,
    private readonly now: () => number = Date.now,
  ) {}

  /** @throws EXPERT_NOT_FOUND, NOT_LEADER */
  async run(name: string, actor: Actor): Promise<RenewedExpert> {
    const key = `expert/${name}`;
    const written = await this.writer.write(actor, () => {
      const expert = this.view.expert(name);
      if (!expert) throw notRegistered(name);
      if (!expert.expiresAt || expert.timeToLiveS === 0n) return [];
      const liveMs = Number(expert.timeToLiveS) * 1000;
      if (timestampMs(expert.expiresAt) - this.now() > DUE_SHARE * liveMs) return [];
      const value = { ...expert, expiresAt: timestampFromMs(this.now() + liveMs) };
      return [{ key, value: { case: 'expert', value } }];
    });
    const expert = this.view.get(key);
    if (!expert) throw notRegistered(name);
    return { expert, renewed: written.length > 0 };
  }
}

function notRegistered(name: string): ThalamusError {
  return new ThalamusError('EXPERT_NOT_FOUND', `No expert ${name} is registered.`);
}
