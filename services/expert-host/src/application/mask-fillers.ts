import { LOGITS, MASKED_POSITIONS } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { Tokenizer, type InferenceRuntime, type TokenRow } from '@thalamus/inference';
import { asFloat32, tensor } from '@thalamus/tensor';
import { maskOf, type MaskedText, type MaskFiller } from './fill-mask-expert.js';
import { bestTokens, type Filling } from './fillings.js';
import { InferenceMeter } from './inference-meter.js';
import type { ResidentBase } from './resident-base.js';
import { TextGraph, type TextBundle } from './text-graph.js';
import type { DeltaPlace } from './text-experts.js';
import type { BatchSettings, Metered } from './text-queue.js';

type Wish = MaskedText & Metered;

/**
 * A masked language model with a graph of its own: `logits` float32 [masked, vocabulary] when it takes `masked_positions`, else
 * [batch, sequence, vocabulary].
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
  const mask = maskOf(manifest.name, Tokenizer.parse(await text.bundle.readFile('tokenizer.json')));
  const graph = await TextGraph.open<Wish, { fillings: Filling[] }>(
    text,
    {
      outputs: [LOGITS],
      inputs: isSelective ? [MASKED_POSITIONS] : [],
      feeds: (wishes, length) => (isSelective ? { [MASKED_POSITIONS]: flatPositions(wishes, length) } : {}),
      read: (results, items) => {
        const { data, shape } = asFloat32(results[LOGITS], LOGITS);
        const vocabulary = shape.at(-1) ?? 0;
        let next = 0;
        return items.map(({ wish }, row) => ({
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
    memoryBytes: sizeBytes,
    ownBytes: sizeBytes,
    submit: (texts, maskedOf, meter, options) =>
      graph.submit(texts, (index, tokens) => ({ ...maskedOf(index, tokens), meter }), options),
    release: () => graph.release(),
  };
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
