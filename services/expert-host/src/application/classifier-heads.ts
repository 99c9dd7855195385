import type { ClassifierHead } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { BatchOutcome, InferenceRuntime, InferenceSession } from '@thalamus/inference';
import { encodeModel, GraphBuilder } from '@thalamus/onnx-graph';
import { asFloat32, tensor } from '@thalamus/tensor';
import { SizedStacks, type Place } from './row-stack.js';

/** An embedding on its way through a head. */
export interface HeadQuestion {
  /** Id of the head. */
  readonly head: string;
  /** float32 [width] */
  readonly embedding: Float32Array;
}

type HeadPlace = Place & { readonly labels: number };

/** Labels that heads are padded to; a manifest has at most the largest. */
const LABEL_SIZES = [32, 256, 4_096];
const VALUES = {
  embedding: 'embedding',
  row: 'adapter_row',
  weights: 'heads',
  bias: 'biases',
  logits: 'logits',
};

/**
 * The heads of all experts on one base: padded to 32, 256 or 4,096 labels, stacked in tables that stay with the runtime, and
 * gathered by an INT32 row for each sample. One batch mixes experts; a new head is a new row and changes no graph.
 */
export class ClassifierHeads {
  private readonly places = new Map<string, HeadPlace>();
  private readonly stacks: SizedStacks;
  private session: Promise<InferenceSession> | undefined;

  constructor(
    private readonly runtime: InferenceRuntime,
    private readonly width: number,
  ) {
    this.stacks = new SizedStacks(runtime, LABEL_SIZES, (size) => ({
      [VALUES.weights]: { dtype: 'float32', shape: [size, width] },
      [VALUES.bias]: { dtype: 'float32', shape: [size, 1] },
    }));
  }

  /** Adds a head and warms its stack. `read` gives it now, and again after a crash. @throws METHOD_UNSUPPORTED */
  async add(id: string, labels: number, read: () => Promise<ClassifierHead>): Promise<void> {
    const size = this.stacks.sizeFor(labels);
    if (size === undefined)
      throw new ThalamusError(
        'METHOD_UNSUPPORTED',
        `The head of ${id} has ${labels} labels; a host stacks heads of at most ${LABEL_SIZES.at(-1)}.`,
      );
    const stack = await this.stacks.of(size);
    const row = await stack.add(async () => padded(await read(), size, this.width));
    this.places.set(id, { size, row, labels });
    try {
      await this.run([{ head: id, embedding: new Float32Array(this.width) }], size);
    } catch (fault) {
      await this.remove(id);
      throw fault;
    }
  }

  async remove(id: string): Promise<void> {
    const place = this.places.get(id);
    if (!place) return;
    this.places.delete(id);
    (await this.stacks.of(place.size)).remove(place.row);
  }

  /** Logits for each question, as many as its head has labels; EXPERT_NOT_READY for a head that is not loaded any more. */
  async logits(questions: readonly HeadQuestion[]): Promise<BatchOutcome<Float32Array>[]> {
    const answers = new Map<HeadQuestion, Float32Array>();
    const bySize = Map.groupBy(questions, ({ head }) => this.places.get(head)?.size);
    for (const [size, group] of bySize) {
      if (size === undefined) continue;
      const logits = await this.run(group, size);
      group.forEach((question, index) => {
        const answer = logits[index];
        if (answer) answers.set(question, answer);
      });
    }
    return questions.map((question) => answers.get(question) ?? expertGone());
  }

  async release(): Promise<void> {
    this.places.clear();
    await this.stacks.release();
    await (await this.session?.catch(() => undefined))?.release();
  }

  private async run(questions: readonly HeadQuestion[], size: number): Promise<Float32Array[]> {
    const places = questions.map(({ head }) => this.places.get(head));
    const embeddings = new Float32Array(questions.length * this.width);
    questions.forEach(({ embedding }, index) => {
      embeddings.set(embedding, index * this.width);
    });
    const rows = Int32Array.from(places, (place) => place?.row ?? 0);
    const { table } = await this.stacks.of(size);
    const feeds = {
      [VALUES.embedding]: tensor('float32', [questions.length, this.width], embeddings),
      [VALUES.row]: tensor('int32', [questions.length], rows),
    };
    const outputs = await (await this.opened()).run(feeds, { tables: [table] });
    const { data } = asFloat32(outputs[VALUES.logits], VALUES.logits);
    return places.map((place, index) => data.slice(index * size, index * size + (place?.labels ?? 0)));
  }

  private opened(): Promise<InferenceSession> {
    this.session ??= this.runtime.load({ bytes: headsGraph(this.width) });
    this.session.catch(() => (this.session = undefined));
    return this.session;
  }
}

/** The refusal of a text whose expert was let go while it waited. */
export function expertGone(): ThalamusError {
  return new ThalamusError('EXPERT_NOT_READY', 'The expert was unloaded while the request waited.', {
    retryAfterMs: 500,
  });
}

function padded({ weights, bias }: ClassifierHead, size: number, width: number) {
  const allWeights = new Float32Array(size * width);
  allWeights.set(weights);
  const allBias = new Float32Array(size);
  allBias.set(bias);
  return {
    [VALUES.weights]: tensor('float32', [size, width], allWeights),
    [VALUES.bias]: tensor('float32', [size, 1], allBias),
  };
}

/** logits = W e + b with W [labels, width] and b [labels, 1] of each sample's row. */
function headsGraph(width: number): Uint8Array {
  const builder = new GraphBuilder();
  const embedding = builder.input(VALUES.embedding, 'float32', ['batch', width]);
  const row = builder.input(VALUES.row, 'int32', ['batch']);
  const weights = builder.input(VALUES.weights, 'float32', ['heads', 'labels', width]);
  const bias = builder.input(VALUES.bias, 'float32', ['heads', 'labels', 1]);
  const axis = builder.constant('axis', tensor('int64', [1], BigInt64Array.of(2n)));
  const column = builder.node('Unsqueeze', [embedding, axis]);
  const product = builder.node('MatMul', [builder.node('Gather', [weights, row]), column]);
  const sum = builder.node('Add', [product, builder.node('Gather', [bias, row])]);
  const logits = builder.node('Squeeze', [sum, axis], { name: VALUES.logits });
  builder.output(logits, 'float32', ['batch', 'labels']);
  return encodeModel(builder.build({ name: 'heads' }));
}
