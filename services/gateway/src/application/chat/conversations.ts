import { hash } from 'node:crypto';

/**
 * Which expert the conversations had that were answered last, so that they stay with it unless another is clearly better. The
 * opening of a message list names a conversation; it is kept as a digest, and each tenant finds only its own. A gateway that
 * does not know a conversation, because another replica had it, routes it like a new one.
 */
export class Conversations {
  /** The least recently answered first. */
  private readonly experts = new Map<string, string>();

  /** Remembers this many; 0: none. */
  constructor(private readonly capacity: number) {}

  /** Number of conversations that are remembered. */
  get size(): number {
    return this.experts.size;
  }

  /** Name of a conversation. */
  keyOf(tenant: string, opening: string): string {
    // No tenant has a line break in its name.
    return hash('sha256', `${tenant}\n${opening}`, 'base64');
  }

  /** The expert that answered last; undefined for a conversation that is not known. */
  expertOf(key: string): string | undefined {
    return this.experts.get(key);
  }

  answered(key: string, expert: string): void {
    if (this.capacity === 0) return;
    this.experts.delete(key);
    this.experts.set(key, expert);
    const [oldest] = this.experts.keys();
    if (this.experts.size > this.capacity && oldest !== undefined) this.experts.delete(oldest);
  }
}
