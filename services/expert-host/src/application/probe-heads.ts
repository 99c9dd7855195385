import { encodeModel, GraphBuilder } from '@thalamus/onnx-graph';
import { asFloat32, tensor, type Tensor } from '@thalamus/tensor';
import type { InferenceRuntime, InferenceSession } from '@thalamus/inference';

/** A linear head. */
export interface ProbeHead {
  /** float32 [labels, width] */
  readonly weights: Float32Array;
  /** float32 [labels] */
  readonly bias: Float32Array;
}

/** Heads that were stacked, and where each stands. */
interface Stack {
  readonly session: InferenceSession;
  readonly rows: ReadonlyMap<string, number>;
  readonly maxLabels: number;
  users: number;
  retired: boolean;
}

/**
 * All probe heads of one base in one small graph: heads padded to the most labels, stacked, gathered by an INT32 row for
 * each sample, so that one batch mixes experts. A new head makes a new stack; the old one ends with its last run.
 */
export class ProbeHeads {
  private readonly heads = new Map<string, ProbeHead>();
  private stack: Stack | undefined;
  private building: Promise<void> = Promise.resolve();

  constructor(
    private readonly runtime: InferenceRuntime,
    private readonly width: number,
  ) {}

  /** Number of heads. */
  get size(): number {
    return this.heads.size;
  }

  /** Adds or removes heads by id and warms the new stack before anybody uses it. */
  change(add: ReadonlyMap<string, ProbeHead>, remove: readonly string[]): Promise<void> {
    const result = this.building.then(async () => {
      for (const [id, head] of add) this.heads.set(id, head);
      for (const id of remove) this.heads.delete(id);
      const old = this.stack;
      this.stack = this.heads.size === 0 ? undefined : await this.build();
      if (old) this.retire(old);
    });
    this.building = result.catch(() => undefined);
    return result;
  }

  /**
   * Logits of each row of `embeddings` [n, width] by the head of its id; each as long as that head has labels.
   */
  async logits(embeddings: Float32Array, ids: readonly string[]): Promise<Float32Array[]> {
    const stack = this.stack;
    if (!stack) throw new Error('no probe head is loaded');
    stack.users += 1;
    try {
      const rows = Int32Array.from(ids, (id) => stack.rows.get(id) ?? 0);
      const feeds = {
        embedding: tensor('float32', [ids.length, this.width], embeddings),
        adapter_row: tensor('int32', [ids.length], rows),
      };
      const output = asFloat32((await stack.session.run(feeds))['logits'], 'logits');
      return ids.map((id, index) => {
        const labels = this.heads.get(id)?.bias.length ?? 0;
        return output.data.slice(index * stack.maxLabels, index * stack.maxLabels + labels);
      });
    } finally {
      stack.users -= 1;
      if (stack.retired && stack.users === 0) await stack.session.release();
    }
  }

  async release(): Promise<void> {
    await this.building;
    if (this.stack) this.retire(this.stack);
    this.stack = undefined;
  }

  private retire(stack: Stack): void {
    stack.retired = true;
    if (stack.users === 0) void stack.session.release().catch(() => undefined);
  }

  private async build(): Promise<Stack> {
    const ids = [...this.heads.keys()];
    const heads = [...this.heads.values()];
    const maxLabels = Math.max(...heads.map(({ bias }) => bias.length));
    const { width } = this;
    const weights = new Float32Array(heads.length * width * maxLabels);
    const bias = new Float32Array(heads.length * maxLabels).fill(-1e9);
    heads.forEach((head, row) => {
      bias.set(head.bias, row * maxLabels);
      for (let label = 0; label < head.bias.length; label++) {
        for (let j = 0; j < width; j++)
          weights[(row * width + j) * maxLabels + label] = head.weights[label * width + j] as number;
      }
    });
    const session = await this.runtime.load({
      bytes: stackGraph(heads.length, width, maxLabels, weights, bias),
    });
    const stack: Stack = {
      session,
      rows: new Map(ids.map((id, row) => [id, row])),
      maxLabels,
      users: 0,
      retired: false,
    };
    const warm: Record<string, Tensor> = {
      embedding: tensor('float32', [1, width], new Float32Array(width)),
      adapter_row: tensor('int32', [1], new Int32Array(1)),
    };
    await session.run(warm);
    return stack;
  }
}

// eslint-disable-next-line max-params -- sizes and contents of the two constants
function stackGraph(
  count: number,
  width: number,
  maxLabels: number,
  weights: Float32Array,
  bias: Float32Array,
): Uint8Array {
  const builder = new GraphBuilder();
  const embedding = builder.input('embedding', 'float32', ['batch', width]);
  const row = builder.input('adapter_row', 'int32', ['batch']);
  const matrix = builder.node('Gather', [
    builder.constant('heads', tensor('float32', [count, width, maxLabels], weights)),
    row,
  ]);
  const shift = builder.node('Gather', [
    builder.constant('biases', tensor('float32', [count, maxLabels], bias)),
    row,
  ]);
  const axis = builder.constant('axis', tensor('int64', [1], BigInt64Array.of(1n)));
  const product = builder.node('MatMul', [builder.node('Unsqueeze', [embedding, axis]), matrix]);
  const logits = builder.node('Add', [builder.node('Squeeze', [product, axis]), shift], { name: 'logits' });
  builder.output(logits, 'float32', ['batch', maxLabels]);
  return encodeModel(builder.build({ name: 'probe-heads' }));
}
