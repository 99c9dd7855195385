import { hash } from 'node:crypto';

/**
 * What was predicted for the prompts that were asked last, so that one that comes again needs no encoder. It knows prompts by
 * their digest alone, and each tenant finds only its own: how long an answer takes tells nobody what others have asked.
 */
export class PromptCache<T> {
  /** The least recently used first. */
  private readonly entries = new Map<string, T>();

  /** Keeps this many; 0: none. */
  constructor(private readonly capacity: number) {}

  /** Number of entries. */
  get size(): number {
    return this.entries.size;
  }

  /** The key of a prompt, or undefined when nothing is kept. */
  keyOf(tenant: string, prompt: string): string | undefined {
    // No tenant has a line break in its name.
    return this.capacity > 0 ? hash('sha256', `${tenant}\n${prompt}`, 'base64') : undefined;
  }

  /** What is kept under a key; it is then the most recently used. */
  get(key: string): T | undefined {
    const value = this.entries.get(key);
    if (value === undefined) return undefined;
    this.entries.delete(key);
    this.entries.set(key, value);
    return value;
  }

  /** Keeps a value; the least recently used one goes when there are too many. */
  set(key: string, value: T): void {
    this.entries.delete(key);
    this.entries.set(key, value);
    const [oldest] = this.entries.keys();
    if (this.entries.size > this.capacity && oldest !== undefined) this.entries.delete(oldest);
  }
}
