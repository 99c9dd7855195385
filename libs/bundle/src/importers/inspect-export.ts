import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { DEFAULT_GRAPH_LIMITS, inspectGraph, type GraphSummary, type GraphValue } from '@thalamus/onnx-graph';
import { refusedFile } from '../low-rank-format.js';
import type { Task } from '../manifest-fields.js';
import {
  LOGITS,
  MASKED_POSITIONS,
  TEXT_VECTORS,
  TOKEN_INPUTS,
  TOKEN_STATES,
} from '../text-graph-contract.js';
import type { CopiedFile } from '../write-bundle.js';
import { needFile, type ImportFolder } from './import-folder.js';

/** A graph that passed the structural look, and what it is made of. */
export interface InspectedGraph {
  readonly summary: GraphSummary;
  /** Graph and external data by their path in a bundle. */
  readonly files: Readonly<Record<string, CopiedFile>>;
}

/**
 * The structural look at a graph of a folder. External data may lie in plain files beside the graph, nowhere else.
 * @throws GRAPH_INVALID, BUNDLE_INVALID
 */
export async function inspectFile(folder: ImportFolder, graph: string): Promise<InspectedGraph> {
  const path = needFile(folder, graph, 'name a graph of the folder');
  const size = folder.files.get(graph) ?? 0;
  if (size > DEFAULT_GRAPH_LIMITS.maxBytes)
    throw refusedFile(
      folder.path,
      graph,
      '',
      `has ${size} bytes; a graph may have ${DEFAULT_GRAPH_LIMITS.maxBytes}, the rest as external data`,
    );
  const parent = dirname(graph) === '.' ? '' : `${dirname(graph)}/`;
  // Links are allowed here and refused by name below.
  const beside = [...folder.files.keys(), ...folder.links].filter(
    (file) => file !== graph && file.startsWith(parent) && !file.slice(parent.length).includes('/'),
  );
  const externalFiles = beside.map((file) => basename(file));
  const bytes = await readFile(path);
  const summary = located(path, () => inspectGraph(bytes, { ...DEFAULT_GRAPH_LIMITS, externalFiles }));
  const files: Record<string, CopiedFile> = { 'model.onnx': { from: path } };
  for (const file of summary.externalFiles)
    files[file] = { from: needFile(folder, `${parent}${file}`, 'the graph keeps data in it') };
  return { summary, files };
}

/** Says of a fault of a graph where it lies. */
function located<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { code, message, violations } = toThalamusError(cause);
    throw new ThalamusError(code, `${path}: ${message}`, { violations, cause });
  }
}

/** What a graph of texts must be for a task, as the host serves it. */
export function checkTextGraph(folder: ImportFolder, graph: string, task: Task, summary: GraphSummary): void {
  const refuse = (description: string) => refusedFile(folder.path, graph, '', description);
  checkInputs(task, summary, refuse);
  if (task === 'feature-extraction') {
    const states = summary.outputs.find(({ name }) => TOKEN_STATES.includes(name));
    const output = states ?? summary.outputs.find(({ name }) => TEXT_VECTORS.includes(name));
    if (!output)
      throw refuse(
        `has no output ${[...TOKEN_STATES, ...TEXT_VECTORS].join(', ')}, but ${named(summary.outputs)}`,
      );
    checkOutput(output, states ? 3 : 2, refuse);
    if (typeof output.shape.at(-1) !== 'number') throw refuse(`gives ${output.name} without a fixed width`);
    return;
  }
  const logits = summary.outputs.find(({ name }) => name === LOGITS);
  if (!logits) throw refuse(`has no output ${LOGITS}, which ${task} needs, but ${named(summary.outputs)}`);
  const isSelective = summary.inputs.some(({ name }) => name === MASKED_POSITIONS);
  checkOutput(logits, task === 'fill-mask' && !isSelective ? 3 : 2, refuse);
}

type Refuse = (description: string) => Error;

function checkInputs(task: Task, { inputs }: GraphSummary, refuse: Refuse): void {
  const known: readonly string[] = [
    ...Object.values(TOKEN_INPUTS),
    ...(task === 'fill-mask' ? [MASKED_POSITIONS] : []),
  ];
  if (!inputs.some(({ name }) => name === TOKEN_INPUTS.ids))
    throw refuse(`has no input ${TOKEN_INPUTS.ids}, but ${named(inputs)}`);
  for (const { name, dtype, shape } of inputs) {
    if (!known.includes(name)) throw refuse(`needs the input ${name}, which texts have no values for`);
    if (dtype !== 'int64') throw refuse(`takes ${name} as ${dtype ?? 'no tensor'}, not int64`);
    if (shape.some((size) => typeof size === 'number'))
      throw refuse(
        `takes ${name} in the fixed shape [${shape.join(', ')}]; export it with axes that vary (batch, sequence)`,
      );
  }
}

function checkOutput({ name, dtype, shape }: GraphValue, axes: number, refuse: Refuse): void {
  if (dtype !== 'float32') throw refuse(`gives ${name} as ${dtype ?? 'no tensor'}, not float32`);
  if (shape.length !== axes) throw refuse(`gives ${name} with ${shape.length} axes, not ${axes}`);
}

const named = (values: readonly GraphValue[]) => values.map(({ name }) => name).join(', ') || 'none';

/** Licences and notices of a folder, which stay with the weights; small plain files at its top. */
export function noticesOf({ path, files }: ImportFolder): Record<string, CopiedFile> {
  const names = [...files]
    .filter(([name, bytes]) => /^(LICEN[CS]E|NOTICE)(\.(txt|md))?$/.test(name) && bytes <= 2 ** 20)
    .map(([name]) => [name, { from: join(path, name) }] as const);
  return Object.fromEntries(names);
}
