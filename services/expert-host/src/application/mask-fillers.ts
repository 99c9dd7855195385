import { LOGITS, MASKED_POSITIONS } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { Tokenizer, type InferenceRuntime, type TokenRow } from '@thalamus/inference';
import { TWIN_VALUES } from '@thalamus/model-merge';
import { asFloat32, tensor, type Tensor } from '@thalamus/tensor';
import { maskOf, type MaskedText, type MaskFiller, type Routed } from './fill-mask-expert.js';
import { bestTokens, type Filling } from './fillings.js';
import { InferenceMeter } from './inference-meter.js';
import type { ResidentBase } from './resident-base.js';
import { TextGraph, type TextBundle } from './text-graph.js';
import type { DeltaPlace } from './text-experts.js';
import type { BatchSettings, Metered } from './text-queue.js';

type Wish = MaskedText & Metered;

const { task: TASK, routerWeights: ROUTER_WEIGHTS, parent: PARENT } = TWIN_VALUES;

/**
 * A masked language model with a graph of its own: `logits` float32 [masked, vocabulary] when it takes `masked_positions`, else
 * [batch, sequence, vocabulary]. The router of a composed one chooses the weights of each text.
 * @throws GRAPH_INVALID, BUNDLE_INVALID
 */
export async function openGraphFiller(
  text: TextBundle,
  runtime: InferenceRuntime,
  settings: BatchSettings,
): Promise<MaskFiller> {
  const { manifest, sizeBytes } = text.bundle;
  const isSelective = text.summary.inputs.some(({ name }) => name === MASKED_POSITIONS);
  const output = text.summary.outputs.find(({ name }) => name === LOGITS);
  if (output?.dtype !== 'float32' || output.shape.length !== (isSelective ? 2 : 3))
    throw new ThalamusError(
      'GRAPH_INVALID',
      `${manifest.name} has no float32 output ${LOGITS} of ${isSelective ? '[masked, vocabulary]' : '[batch, sequence, vocabulary]'}, which fill-mask needs.`,
    );
  const parents = composedParents(text);
  const mask = maskOf(manifest.name, Tokenizer.parse(await text.bundle.readFile('tokenizer.json')));
  const graph = await TextGraph.open<Wish, { fillings: Filling[]; routed?: Routed }>(
    text,
    {
      outputs: [LOGITS, ...(parents ? [ROUTER_WEIGHTS, PARENT] : [])],
      inputs: [...(isSelective ? [MASKED_POSITIONS] : []), ...(parents ? [TASK] : [])],
      feeds: (wishes, length) => ({
        ...(isSelective ? { [MASKED_POSITIONS]: flatPositions(wishes, length) } : {}),
        ...(parents ? { [TASK]: tensor('int64', [wishes.length], openTasks(wishes.length)) } : {}),
      }),
      read: (results, items) => {
        const { data, shape } = asFloat32(results[LOGITS], LOGITS);
        const vocabulary = shape.at(-1) ?? 0;
        let next = 0;
        const routed = parents ? routedOf(results, parents.length) : undefined;
        return items.map(({ wish }, row) => ({
          ...(routed ? { routed: routed(row) } : {}),
          fillings: wish.positions.map((position) => {
            const at = isSelective ? next++ : row * (shape[1] ?? 0) + position;
            return bestTokens(data.subarray(at * vocabulary, (at + 1) * vocabulary), wish.topK);
          }),
        }));
      },
    },
    {
      text: mask.text,
      wishOf: ({ ids }: TokenRow) => ({
        positions: [ids.indexOf(mask.id)],
        topK: 1,
        meter: new InferenceMeter(),
      }),
    },
    runtime,
    settings,
  );
  return {
    tokenizer: graph.tokenizer,
    mask,
    ...(parents ? { parents } : {}),
    memoryBytes: sizeBytes,
    ownBytes: sizeBytes,
    submit: (texts, maskedOf, meter, options) =>
      graph.submit(texts, (index, tokens) => ({ ...maskedOf(index, tokens), meter }), options),
    release: () => graph.release(),
  };
}

/** Names of the parents in the order of the router's weights; undefined for what is not composed. @throws BUNDLE_INVALID */
function composedParents({ bundle: { manifest }, summary }: TextBundle): readonly string[] | undefined {
  if (manifest.kind !== 'twin') return undefined;
  const parents = (manifest.lineage?.parents ?? []).map(({ name }) => name).sort();
  const weights = summary.outputs.find(({ name }) => name === ROUTER_WEIGHTS);
  if (weights?.shape.at(-1) === parents.length) return parents;
  throw new ThalamusError(
    'BUNDLE_INVALID',
    `${manifest.name} does not fit its graph: the manifest names ${parents.length} parents, and the graph weighs ${weights?.shape.at(-1) ?? 'none'}; compose it again.`,
  );
}

/** Leaves every text to the router. */
const openTasks = (texts: number) => new BigInt64Array(texts).fill(-1n);

/** How each text of a batch was routed. */
function routedOf(results: Readonly<Record<string, Tensor>>, parents: number): (row: number) => Routed {
  const { data } = asFloat32(results[ROUTER_WEIGHTS], ROUTER_WEIGHTS);
  const parent = results[PARENT];
  return (row) => ({
    weights: data.slice(row * parents, (row + 1) * parents),
    parent: parent?.dtype === 'int64' ? Number(parent.data[row]) : -1,
  });
}

/** A masked language model over a base: its adapter and its head. @throws BUNDLE_INVALID */
export function baseFiller(
  name: string,
  { id, isLowRank, bytes, release }: DeltaPlace,
  base: ResidentBase,
): MaskFiller {
  const { tokenizer } = base;
  return {
    tokenizer,
    mask: maskOf(name, tokenizer),
    memoryBytes: bytes,
    ownBytes: bytes,
    submit: (texts, maskedOf, meter, options) =>
      base.submit(
        texts,
        (index, tokens) => ({
          id,
          isLowRank,
          meter,
          want: { kind: 'fillings', ...maskedOf(index, tokens) },
        }),
        options,
      ),
    release,
  };
}

function flatPositions(wishes: readonly Wish[], length: number) {
  const flat = wishes.flatMap(({ positions }, row) => positions.map((position) => row * length + position));
  return tensor('int64', [flat.length], BigInt64Array.from(flat, BigInt));
}
