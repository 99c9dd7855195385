import type { InferenceRuntime } from '@thalamus/inference';
import { buildSwitchGraph, type MergeInput, type MergeParent } from '@thalamus/model-merge';
import { encodeModel, inspectGraph } from '@thalamus/onnx-graph';
import { asFloat32, tensor } from '@thalamus/tensor';
import { PICO_CONFIG, picoId } from '@thalamus/testing';

/** Token ids of a text without the special ones. */
export type Tokens = readonly number[];

/** Token ids padded to the longest. */
export function tokenFeeds(texts: readonly Tokens[]) {
  const longest = Math.max(...texts.map((text) => text.length)) + 2;
  const ids = new BigInt64Array(texts.length * longest);
  const mask = new BigInt64Array(texts.length * longest);
  texts.forEach((text, row) => {
    [picoId('[CLS]'), ...text, picoId('[SEP]')].forEach((id, at) => {
      ids[row * longest + at] = BigInt(id);
      mask[row * longest + at] = 1n;
    });
  });
  const shape = [texts.length, longest];
  return { input_ids: tensor('int64', shape, ids), attention_mask: tensor('int64', shape, mask) };
}

/** Opens the graph of some parents, asks it, and lets it go. Tasks default to the choice of the router. */
export async function askTwin(
  runtime: InferenceRuntime,
  input: MergeInput,
  texts: readonly Tokens[],
  tasks: readonly number[] = texts.map(() => -1),
) {
  const graph = buildSwitchGraph(input);
  const bytes = encodeModel(graph.model);
  inspectGraph(bytes);
  const session = await runtime.load({ bytes });
  try {
    const task = tensor('int64', [texts.length], BigInt64Array.from(tasks, BigInt));
    const outputs = await session.run({ ...tokenFeeds(texts), task });
    const rows = (name: string) => {
      const { data, shape } = asFloat32(outputs[name], name);
      const width = shape[1] ?? 1;
      return texts.map((_, row) => [...data.slice(row * width, (row + 1) * width)]);
    };
    const whole = (name: string) => Array.from(outputs[name]!.data as BigInt64Array, Number);
    return { graph, rows, whole };
  } finally {
    await session.release();
  }
}

/** Whatever the text, the router is sure of one parent. */
export function sureOf(parents: readonly MergeParent[], chosen: string): MergeParent[] {
  const weights = new Float32Array(PICO_CONFIG.hiddenSize);
  return parents.map((parent) => ({
    ...parent,
    router: { weights, bias: new Float32Array([parent.name === chosen ? 200 : 0]) },
  }));
}
