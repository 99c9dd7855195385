import { ThalamusError } from '@thalamus/errors';
import { encodeModel, GraphBuilder } from '@thalamus/onnx-graph';
import { asFloat32, tensor, type Tensor } from '@thalamus/tensor';
import type { BatchOutcome, InferenceRuntime, InferenceSession } from '@thalamus/inference';

/** A linear head. */
export interface ProbeHead {
  /** float32 [labels, width] */
  readonly weights: Float32Array;
  /** float32 [labels] */
  readonly bias: Float32Array;
}

/** An embedding on its way through a head. */
export interface HeadQuestion {
  /** Id of the head. */
  readonly head: string;
  /** float32 [width] */
  readonly embedding: Float32Array;
}

/** Where a head stands in a stack. */
interface Place {
  readonly row: number;
  readonly labels: number;
}

/** Heads that were stacked, and where each stands. */
interface Stack {
  readonly session: InferenceSession;
  readonly places: ReadonlyMap<string, Place>;
  readonly maxLabels: number;
  users: number;
  retired: boolean;
}

/**
 * All probe heads of one base in one small graph: heads padded to the most labels, stacked, gathered by an INT32 row for
 * each sample, so that one batch mixes experts. A new head makes a new stack; the old one ends with its last run.
 */
export class ProbeHeads {
  private heads: ReadonlyMap<string, ProbeHead> = new Map();
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

  /** Adds or removes heads by id and warms the new stack before anybody uses it. When that fails, the old one stays. */
  change(add: ReadonlyMap<string, ProbeHead>, remove: readonly string[]): Promise<void> {
    const result = this.building.then(async () => {
      const heads = new Map([...this.heads, ...add]);
      for (const id of remove) heads.delete(id);
      const stack = heads.size === 0 ? undefined : await this.build(heads);
      const old = this.stack;
      this.stack = stack;
      this.heads = heads;
      if (old) this.retire(old);
    });
    this.building = result.catch(() => undefined);
    return result;
  }

  /** Logits for each question, as many as its head has labels; EXPERT_NOT_READY for a head that is not loaded any more. */
  async logits(questions: readonly HeadQuestion[]): Promise<BatchOutcome<Float32Array>[]> {
    const stack = this.stack;
    const placed = questions.flatMap(({ head, embedding }) => {
      const place = stack?.places.get(head);
      return place ? [{ ...place, embedding }] : [];
    });
    const answers = stack && placed.length > 0 ? await this.run(stack, placed) : [];
    let next = 0;
    return questions.map(({ head }) => {
      const answer = stack?.places.has(head) ? answers[next++] : undefined;
      return answer ?? headGone();
    });
  }

  async release(): Promise<void> {
    await this.building;
    if (this.stack) this.retire(this.stack);
    this.stack = undefined;
    this.heads = new Map();
  }

  private async run(
    stack: Stack,
    placed: readonly (Place & { readonly embedding: Float32Array })[],
  ): Promise<Float32Array[]> {
    const embeddings = new Float32Array(placed.length * this.width);
    placed.forEach(({ embedding }, index) => {
      embeddings.set(embedding, index * this.width);
    });
    stack.users += 1;
    try {
      const outputs = await stack.session.run({
        embedding: tensor('float32', [placed.length, this.width], embeddings),
        adapter_row: tensor(
          'int32',
          [placed.length],
          Int32Array.from(placed, ({ row }) => row),
        ),
      });
      const { data } = asFloat32(outputs['logits'], 'logits');
      return placed.map(({ labels }, index) =>
        data.slice(index * stack.maxLabels, index * stack.maxLabels + labels),
      );
    } finally {
      stack.users -= 1;
      this.releaseUnused(stack);
    }
  }

  private retire(stack: Stack): void {
    stack.retired = true;
    this.releaseUnused(stack);
  }

  private releaseUnused(stack: Stack): void {
    // A session whose process has ended is released already.
    if (stack.retired && stack.users === 0) void stack.session.release().catch(() => undefined);
  }

  private async build(heads: ReadonlyMap<string, ProbeHead>): Promise<Stack> {
    const maxLabels = Math.max(...[...heads.values()].map(({ bias }) => bias.length));
    const session = await this.runtime.load({
      bytes: stackGraph([...heads.values()], this.width, maxLabels),
    });
    const places = new Map([...heads].map(([id, { bias }], row) => [id, { row, labels: bias.length }]));
    const warm: Record<string, Tensor> = {
      embedding: tensor('float32', [1, this.width], new Float32Array(this.width)),
      adapter_row: tensor('int32', [1], new Int32Array(1)),
    };
    await session.run(warm);
    return { session, places, maxLabels, users: 0, retired: false };
  }
}

function headGone(): ThalamusError {
  return new ThalamusError('EXPERT_NOT_READY', 'The expert was unloaded while the request waited.', {
    retryAfterMs: 500,
  });
}

/** Heads as constants [heads, width, labels] and [heads, labels]; what pads a head has the logit -1e9. */
function stackGraph(heads: readonly ProbeHead[], width: number, maxLabels: number): Uint8Array {
  const weights = new Float32Array(heads.length * width * maxLabels);
  const bias = new Float32Array(heads.length * maxLabels).fill(-1e9);
  heads.forEach((head, row) => {
    bias.set(head.bias, row * maxLabels);
    for (let label = 0; label < head.bias.length; label++) {
      for (let j = 0; j < width; j++)
        weights[(row * width + j) * maxLabels + label] = head.weights[label * width + j] as number;
    }
  });
  const builder = new GraphBuilder();
  const embedding = builder.input('embedding', 'float32', ['batch', width]);
  const row = builder.input('adapter_row', 'int32', ['batch']);
  const matrix = builder.node('Gather', [
    builder.constant('heads', tensor('float32', [heads.length, width, maxLabels], weights)),
    row,
  ]);
  const shift = builder.node('Gather', [
    builder.constant('biases', tensor('float32', [heads.length, maxLabels], bias)),
    row,
  ]);
  const axis = builder.constant('axis', tensor('int64', [1], BigInt64Array.of(1n)));
  const product = builder.node('MatMul', [builder.node('Unsqueeze', [embedding, axis]), matrix]);
  const logits = builder.node('Add', [builder.node('Squeeze', [product, axis]), shift], { name: 'logits' });
  builder.output(logits, 'float32', ['batch', maxLabels]);
  return encodeModel(builder.build({ name: 'probe-heads' }));
}
