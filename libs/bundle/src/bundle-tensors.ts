import { ThalamusError } from '@thalamus/errors';
import { refusedFile } from './low-rank-format.js';
import { readSafetensors, toFloat32, type Safetensors } from './safetensors.js';

/** Tensors of one file of a bundle, whose refusals name bundle, file and tensor. */
export class BundleTensors {
  private room = new Float32Array();

  private constructor(
    private readonly bundle: string,
    private readonly file: string,
    private readonly stored: Safetensors,
  ) {}

  /** @throws BUNDLE_INVALID when the bytes are no safetensors file */
  static read(bundle: string, file: string, bytes: Uint8Array): BundleTensors {
    try {
      return new BundleTensors(bundle, file, readSafetensors(bytes));
    } catch (cause) {
      const reason = ThalamusError.is(cause) ? cause.violations[0]?.description : undefined;
      throw refusedFile(bundle, file, '', `is no usable safetensors file: ${reason ?? 'unreadable'}`, cause);
    }
  }

  /**
   * Floats that are read from now on share one block of memory, for files of many tensors that come and go together: a large
   * block goes back to the system when they are gone, where many small ones would leave holes in the heap.
   */
  together(): this {
    const sizes = [...this.stored.tensors.values()].map(({ shape }) => sizeOf(shape));
    this.room = new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
    return this;
  }

  get names(): readonly string[] {
    return [...this.stored.tensors.keys()];
  }

  /**
   * A tensor of finite floats. A size of -1 fits any of one or more; `sizes` says in words what is needed.
   * @throws BUNDLE_INVALID
   */
  floats(name: string, shape: readonly number[], sizes = `[${shape.join()}]`): Float32Array {
    const stored = this.stored.tensors.get(name) ?? this.refuse(name, 'is missing');
    if (stored.type !== 'F32' && stored.type !== 'F16')
      this.refuse(name, `has the type ${stored.type} where floats are needed`);
    const fits =
      stored.shape.length === shape.length &&
      shape.every((size, axis) => (size < 0 ? (stored.shape[axis] ?? 0) > 0 : size === stored.shape[axis]));
    if (!fits) this.refuse(name, `has the shape [${stored.shape.join()}] where ${sizes} is needed`);
    const values = toFloat32(stored, this.take(sizeOf(stored.shape)));
    requireFinite(this.bundle, this.file, name, values);
    return values;
  }

  /** Of the block, while there is room. */
  private take(size: number): Float32Array {
    if (size > this.room.length) return new Float32Array(size);
    const taken = this.room.subarray(0, size);
    this.room = this.room.subarray(size);
    return taken;
  }

  /** @throws BUNDLE_INVALID always */
  refuse(name: string, description: string): never {
    throw refusedFile(this.bundle, this.file, name, description);
  }
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** @throws BUNDLE_INVALID for NaN and infinities */
export function requireFinite(bundle: string, file: string, name: string, values: Float32Array): void {
  if (!values.every(Number.isFinite))
    throw refusedFile(bundle, file, name, 'holds numbers that are not finite');
}
