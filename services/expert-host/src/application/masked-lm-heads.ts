import type { MaskedLmHead } from '@thalamus/bundle';
import type { BatchOutcome, InferenceRuntime, InferenceSession } from '@thalamus/inference';
import { MASKED_LM_VALUES, transpose } from '@thalamus/onnx-graph';
import { asFloat32, encodeFloat16, tensor } from '@thalamus/tensor';
import { expertGone } from './classifier-heads.js';
import type { DerivedGraphs } from './derived-graphs.js';
import { bestTokens, type Filling } from './fillings.js';
import { RowStack } from './row-stack.js';

/** Hidden states of a text on their way through a head. */
export interface MaskedQuestion {
  /** Id of the head. */
  readonly head: string;
  /** float32 [hidden] of each masked place. */
  readonly states: readonly Float32Array[];
  /** How many tokens are wanted for each place. */
  readonly topK: number;
}

interface Opened {
  readonly session: InferenceSession;
  readonly stack: RowStack;
}

/** Places that are scored in one run: each gives as many numbers as the vocabulary has words. */
const PLACES_PER_RUN = 64;

const { hidden: HIDDEN, row: ROW, logits: LOGITS, ...COLUMNS } = MASKED_LM_VALUES;

/**
 * The masked-LM heads of all experts on one base, stacked in a table that stays with the runtime, over one graph that holds the
 * base's word embeddings. The graph is opened by the first head; a head more is a row more.
 */
export class MaskedLmHeads {
  private readonly rows = new Map<string, number>();
  private opening: Promise<Opened> | undefined;
  private bytes = 0;

  constructor(
    private readonly runtime: InferenceRuntime,
    private readonly graphs: DerivedGraphs,
  ) {}

  /** Bytes of the graph; 0 before the first head. */
  get memoryBytes(): number {
    return this.bytes;
  }

  /** Bytes that the next head needs besides its own. */
  async missingBytes(): Promise<number> {
    return this.opening ? 0 : (await this.graphs.maskedLmHead()).sizeBytes;
  }

  /** Sizes that a head must have. @throws GRAPH_INVALID for a base that is no encoder of the zoo's form */
  async sizes(): Promise<{ readonly hidden: number; readonly vocabulary: number }> {
    return this.graphs.maskedLmHead();
  }

  /** Adds a head and warms it. `read` gives it now, and again after a crash. Resolves with the bytes that its row takes. */
  async add(id: string, read: () => Promise<MaskedLmHead>): Promise<number> {
    const { hidden, vocabulary } = await this.sizes();
    const { stack } = await this.opened();
    this.rows.set(id, await stack.add(async () => rowOf(await read())));
    try {
      await this.fillings([{ head: id, states: [new Float32Array(hidden)], topK: 1 }]);
    } catch (fault) {
      await this.remove(id);
      throw fault;
    }
    return 2 * (hidden * (hidden + 3) + vocabulary);
  }

  async remove(id: string): Promise<void> {
    const row = this.rows.get(id);
    if (row === undefined) return;
    this.rows.delete(id);
    (await this.opened()).stack.remove(row);
  }

  /** The best tokens for each place of each question; EXPERT_NOT_READY for a head that is not loaded any more. */
  async fillings(questions: readonly MaskedQuestion[]): Promise<BatchOutcome<Filling[]>[]> {
    const rows = questions.map(({ head }) => this.rows.get(head));
    const places = questions.flatMap(({ states, topK }, index) => {
      const row = rows[index];
      return row === undefined ? [] : states.map((state) => ({ row, state, topK }));
    });
    const filled: Filling[] = [];
    for (let from = 0; from < places.length; from += PLACES_PER_RUN)
      filled.push(...(await this.run(places.slice(from, from + PLACES_PER_RUN))));
    let next = 0;
    return questions.map(({ states }, index) =>
      rows[index] === undefined ? expertGone() : filled.slice(next, (next += states.length)),
    );
  }

  async release(): Promise<void> {
    this.rows.clear();
    const opened = await this.opening?.catch(() => undefined);
    await opened?.stack.release();
    await opened?.session.release();
  }

  private async run(
    places: readonly { readonly row: number; readonly state: Float32Array; readonly topK: number }[],
  ): Promise<Filling[]> {
    const { session, stack } = await this.opened();
    const width = places[0]?.state.length ?? 0;
    const states = new Float32Array(places.length * width);
    places.forEach(({ state }, index) => {
      states.set(state, index * width);
    });
    const rows = Int32Array.from(places, ({ row }) => row);
    // One row for all when all have the same: its head is then gathered once.
    const given = rows.every((row) => row === rows[0]) ? rows.slice(0, 1) : rows;
    const feeds = {
      [HIDDEN]: tensor('float32', [places.length, width], states),
      [ROW]: tensor('int32', [given.length], given),
    };
    const outputs = await session.run(feeds, { tables: [stack.table] });
    const { data, shape } = asFloat32(outputs[LOGITS], LOGITS);
    const vocabulary = shape[1] ?? 0;
    return places.map(({ topK }, index) =>
      bestTokens(data.subarray(index * vocabulary, (index + 1) * vocabulary), topK),
    );
  }

  private opened(): Promise<Opened> {
    this.opening ??= this.open();
    this.opening.catch(() => (this.opening = undefined));
    return this.opening;
  }

  private async open(): Promise<Opened> {
    const { path, sizeBytes, hidden, vocabulary } = await this.graphs.maskedLmHead();
    const session = await this.runtime.load({ path });
    try {
      const stack = await RowStack.open(this.runtime, {
        [COLUMNS.dense]: { dtype: 'float16', shape: [hidden, hidden] },
        ...Object.fromEntries(
          [COLUMNS.denseBias, COLUMNS.gain, COLUMNS.shift].map((name) => [
            name,
            { dtype: 'float16' as const, shape: [1, hidden] },
          ]),
        ),
        [COLUMNS.bias]: { dtype: 'float16', shape: [vocabulary] },
      });
      this.bytes = sizeBytes;
      return { session, stack };
    } catch (fault) {
      await session.release();
      throw fault;
    }
  }
}

/** A head in the layout of the table: the dense matrix turned to [in, out]. */
function rowOf({ dense, denseBias, gain, shift, bias }: MaskedLmHead) {
  const hidden = denseBias.length;
  const turned = transpose(tensor('float32', [hidden, hidden], dense)).data;
  const half = (shape: number[], values: Float32Array) => tensor('float16', shape, encodeFloat16(values));
  return {
    [COLUMNS.dense]: half([hidden, hidden], turned),
    [COLUMNS.denseBias]: half([1, hidden], denseBias),
    [COLUMNS.gain]: half([1, hidden], gain),
    [COLUMNS.shift]: half([1, hidden], shift),
    [COLUMNS.bias]: half([bias.length], bias),
  };
}
