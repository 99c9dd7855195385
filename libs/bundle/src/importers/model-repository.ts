import { basename } from 'node:path';
import type { GraphValue } from '@thalamus/onnx-graph';
import type { DataType } from '@thalamus/tensor';
import { refusedFile } from '../low-rank-format.js';
import { readWhole, refusedFolder, type ImportFolder } from './import-folder.js';
import type { ImportedGraph } from './imported-graph.js';
import { inspectFile } from './inspect-export.js';
import { TRITON_CONFIG } from './recognise-form.js';
import { readTritonConfig, type TritonConfig, type TritonValue } from './triton-config.js';

/** Largest configuration, bytes. */
const MAX_CONFIG_BYTES = 2 ** 20;

/**
 * A model of an OIP model repository: `config.pbtxt` and numbered folders with a graph for ONNX Runtime. The newest version is
 * taken, as Triton does by itself, or the one that `graph` lies in. It takes and gives tensors as the graph says.
 * @throws BUNDLE_INVALID naming file and line, GRAPH_INVALID
 */
export async function readModelRepository(
  folder: ImportFolder,
  model: string,
  wanted: string | undefined,
): Promise<ImportedGraph> {
  const within = (path: string) => (model === '' ? path : `${model}/${path}`);
  const file = within(TRITON_CONFIG);
  const hasConfig = folder.files.has(file) || folder.links.has(file);
  const config = hasConfig
    ? readTritonConfig(folder.path, file, await readWhole(folder, file, '', MAX_CONFIG_BYTES))
    : undefined;
  const graph = wanted ?? newestGraph(folder, within(''), config?.graphFile ?? 'model.onnx');
  const { summary, files } = await inspectFile(folder, graph);
  if (config) checkAgainstGraph(folder, file, config, summary);
  const labels = config?.hasLabelFiles ?? false;
  return {
    form: 'model-repository',
    graph,
    suggestedName: config?.name ?? (model === '' ? basename(folder.path) : model),
    task: 'feature-extraction',
    takesTexts: false,
    maxTokens: 1,
    flopsPerToken: 2 * summary.parameterCount,
    summary,
    files,
    notes: [
      ...(config?.passedOver.length
        ? [
            `${file}: ${config.passedOver.join(', ')} say how Triton runs the model; the host has settings of its own.`,
          ]
        : []),
      ...(labels ? [`${file}: label files are not taken over; the outputs are tensors.`] : []),
    ],
  };
}

function newestGraph(folder: ImportFolder, parent: string, name: string): string {
  const versions = [...folder.files.keys(), ...folder.links].flatMap((path) => {
    const [version = '', file, ...rest] = path.startsWith(parent) ? path.slice(parent.length).split('/') : [];
    return /^[1-9][0-9]{0,17}$/.test(version) && file === name && rest.length === 0 ? [BigInt(version)] : [];
  });
  const newest = versions.reduce((best, version) => (version > best ? version : best), 0n);
  if (newest > 0n) return `${parent}${newest}/${name}`;
  throw refusedFolder(
    folder.path,
    `has no ${parent}1/${name}: a model repository keeps each version in a numbered folder`,
  );
}

/** Every declared value must be in the graph, of the same type and of a shape that fits. */
function checkAgainstGraph(
  folder: ImportFolder,
  file: string,
  config: TritonConfig,
  summary: ImportedGraph['summary'],
): void {
  const pairs = [
    ['input', config.inputs, summary.inputs],
    ['output', config.outputs, summary.outputs],
  ] as const;
  for (const [kind, declared, values] of pairs)
    for (const value of declared) {
      const where = `line ${value.line}: ${kind} ${value.name}`;
      const found = values.find(({ name }) => name === value.name);
      const has = values.map(({ name }) => name).join(', ');
      if (!found) throw refusedFile(folder.path, file, where, `is not in the graph, which has ${has}`);
      const misfit = misfitOf(value, found, config.isBatched);
      if (misfit !== undefined) throw refusedFile(folder.path, file, where, misfit);
    }
}

function misfitOf(declared: TritonValue, found: GraphValue, isBatched: boolean): string | undefined {
  const type: DataType | undefined = found.dtype;
  if (declared.dtype !== type) return `is ${declared.dtype} here and ${type ?? 'no tensor'} in the graph`;
  const wanted = isBatched ? [-1, ...declared.dims] : declared.dims;
  const sizes = found.shape;
  const fits =
    wanted.length === sizes.length &&
    wanted.every((size, axis) => size < 0 || typeof sizes[axis] !== 'number' || sizes[axis] === size);
  // A varying size here may be a fixed one of the graph, never the first of a batch.
  const isBatchFixed = isBatched && typeof sizes[0] === 'number' && sizes[0] >= 0;
  if (fits && !isBatchFixed) return undefined;
  return `has the shape [${wanted.join(', ')}]${isBatched ? ', batch included,' : ''} here and [${sizes.join(', ')}] in the graph`;
}
