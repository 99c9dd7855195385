import { FairCache } from '@thalamus/routing';
import { hash } from 'node:crypto';

/** Name of a conversation. */
export interface ConversationKey {
  readonly tenant: string;
  /** Digest of tenant and opening. */
  readonly digest: string;
}

/**
 * Which expert the conversations had that were answered last, so that they stay with it unless another is clearly better. The
 * opening of a message list names a conversation; it is kept as a digest, and each tenant finds only its own. When there are too many,
 * the tenant with most forgets its oldest. A gateway that does not know a conversation, because another replica had it, routes it
 * like a new one.
 */
export class Conversations {
  private readonly experts: FairCache<string>;

  /** Remembers this many, of all tenants together; 0: none. */
  constructor(capacity: number) {
    this.experts = new FairCache(capacity);
  }

  /** Number of conversations that are remembered. */
  get size(): number {
    return this.experts.size;
  }

  /** Name of a conversation. */
  keyOf(tenant: string, opening: string): ConversationKey {
    // No tenant has a line break in its name.
    return { tenant, digest: hash('sha256', `${tenant}\n${opening}`, 'base64') };
  }

  /** The expert that answered last; undefined for a conversation that is not known. */
  expertOf({ tenant, digest }: ConversationKey): string | undefined {
    return this.experts.get(tenant, digest);
  }

  answered({ tenant, digest }: ConversationKey, expert: string): void {
    this.experts.set(tenant, digest, expert);
  }
}
