import { WholeColumn } from './columns.js';

const FREE = -1;
/** Share of the slots that are taken at most, as a divisor. */
const SPARSE = 2;

/** Gives each run of bytes, such as an id, a number from 0 on in the order they are seen; without an object for each. */
export class ByteTable {
  private slots = new Int32Array(2048).fill(FREE);
  private readonly hashes = new WholeColumn();
  /** End of each run in the store. */
  private readonly ends = new WholeColumn();
  private store = new Uint8Array(65_536);
  private used = 0;
  private readonly decoder = new TextDecoder();

  get size(): number {
    return this.ends.length;
  }

  /** Number of `bytes[from..to)`, -1 when it was never added. */
  find(bytes: Uint8Array, from: number, to: number): number {
    return this.slots[this.slotOf(bytes, from, to, hashOf(bytes, from, to))]!;
  }

  /** Number of `bytes[from..to)`, which is added when it is new. */
  codeOf(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashOf(bytes, from, to);
    const slot = this.slotOf(bytes, from, to, hash);
    if (this.slots[slot] !== FREE) return this.slots[slot]!;
    const code = this.ends.length;
    this.keep(bytes, from, to);
    this.hashes.push(hash);
    this.slots[slot] = code;
    if (this.ends.length * SPARSE > this.slots.length) this.spread();
    return code;
  }

  /** Whether a number stands for these bytes. */
  is(code: number, bytes: Uint8Array, from: number, to: number): boolean {
    const begin = code === 0 ? 0 : this.ends.at(code - 1);
    const length = to - from;
    if (this.ends.at(code) - begin !== length) return false;
    for (let at = 0; at < length; at++) if (this.store[begin + at] !== bytes[from + at]) return false;
    return true;
  }

  nameOf(code: number): string {
    return this.decoder.decode(
      this.store.subarray(code === 0 ? 0 : this.ends.at(code - 1), this.ends.at(code)),
    );
  }

  private slotOf(bytes: Uint8Array, from: number, to: number, hash: number): number {
    const mask = this.slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const code = this.slots[slot]!;
      if (code === FREE || (this.hashes.at(code) === hash && this.is(code, bytes, from, to))) return slot;
      slot = (slot + 1) & mask;
    }
  }

  private keep(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (this.used + length > this.store.length) {
      const larger = new Uint8Array(Math.max(2 * this.store.length, this.used + length));
      larger.set(this.store.subarray(0, this.used));
      this.store = larger;
    }
    for (let at = 0; at < length; at++) this.store[this.used + at] = bytes[from + at]!;
    this.used += length;
    this.ends.push(this.used);
  }

  private spread(): void {
    this.slots = new Int32Array(this.slots.length * 2).fill(FREE);
    const mask = this.slots.length - 1;
    for (let code = 0; code < this.ends.length; code++) {
      let slot = this.hashes.at(code) & mask;
      while (this.slots[slot] !== FREE) slot = (slot + 1) & mask;
      this.slots[slot] = code;
    }
  }
}

/** FNV-1a with the finish of MurmurHash3, 32 bits. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
