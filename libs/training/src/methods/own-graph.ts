import { TOKEN_INPUTS, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { DEFAULT_GRAPH_LIMITS, inspectGraph } from '@thalamus/onnx-graph';
import { asFloat32, tensor, type Tensor } from '@thalamus/tensor';
import { TRAINING_VALUES } from '../graphs/encoder-graph.js';
import type { GraphRuntime, GraphSession } from '../training-base.port.js';

const MODEL_FILE = 'model.onnx';
const { inputIds: IDS, attentionMask: MASK, positions: POSITIONS, logits: LOGITS } = TRAINING_VALUES;
const { types: TYPES } = TOKEN_INPUTS;

/** What a graph of an expert's own is opened with. */
export interface OwnGraphTools {
  readonly runtime: GraphRuntime;
  readonly threads: number;
}

/**
 * Opens the graph of a bundle that stands alone, trained here or exported elsewhere: external data are read from beside it.
 * It takes the feeds of the graphs that training makes: those that it has no input for are left away, token types are zero,
 * and where it scores every place, [batch, sequence, words], the asked places are picked out. `more` are values of inputs
 * besides those of tokens, for a number of rows.
 * @throws GRAPH_INVALID for an input that a text has no values for
 */
export async function openOwnGraph(
  expert: OpenedBundle<ExpertManifest>,
  { runtime, threads }: OwnGraphTools,
  more: Readonly<Record<string, (rows: number) => Tensor>> = {},
): Promise<GraphSession> {
  const { name, files } = expert.manifest;
  const externalFiles = files.map(({ path }) => path).filter((path) => path !== MODEL_FILE);
  const { inputs } = inspectGraph(await expert.readFile(MODEL_FILE), {
    ...DEFAULT_GRAPH_LIMITS,
    externalFiles,
  });
  const wanted = new Set(inputs.map((input) => input.name));
  const known = new Set([IDS, MASK, TYPES, POSITIONS, ...Object.keys(more)]);
  const odd = inputs.find((input) => !known.has(input.name));
  if (odd)
    throw new ThalamusError(
      'GRAPH_INVALID',
      `${name}: its graph needs the input ${odd.name}, which texts have no values for; export it again with token inputs alone.`,
    );
  const session = await runtime.load({ path: expert.filePath(MODEL_FILE) }, { threads });
  return {
    run: async (given, options) => {
      const ids = given[IDS];
      if (ids === undefined) throw new ThalamusError('INTERNAL', `${name} was given no token ids.`);
      const [rows = 0, length = 0] = ids.shape;
      const all = {
        ...given,
        [TYPES]: tensor('int64', ids.shape, new BigInt64Array(rows * length)),
        ...Object.fromEntries(Object.entries(more).map(([input, values]) => [input, values(rows)])),
      };
      const feeds = Object.fromEntries(Object.entries(all).filter(([input]) => wanted.has(input)));
      const results = await session.run(feeds, options);
      const places = given[POSITIONS];
      return places === undefined || wanted.has(POSITIONS)
        ? results
        : { ...results, [LOGITS]: pick(asFloat32(results[LOGITS], LOGITS), places) };
    },
    release: () => session.release(),
  };
}

/** Scores [places, words] out of [batch, sequence, words]; a place is row times length plus column. */
function pick(
  { shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array },
  places: Tensor,
) {
  const words = shape.at(-1) ?? 0;
  const picked = new Float32Array(places.data.length * words);
  Array.from(places.data as BigInt64Array, Number).forEach((place, at) => {
    picked.set(data.subarray(place * words, (place + 1) * words), at * words);
  });
  return tensor('float32', [places.data.length, words], picked);
}
