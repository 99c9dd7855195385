import { LOGITS, TEXT_VECTORS, TOKEN_STATES, type ExpertManifest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { InferenceRuntime } from '@thalamus/inference';
import type { GraphSummary } from '@thalamus/onnx-graph';
import { asFloat32, type Tensor, type TensorOf } from '@thalamus/tensor';
import type { ParameterSpecs } from '../domain/oip-parameters.js';
import { classifierOutputs, classifierTensors, labelSetOf, type LabelSet } from './classifier-outputs.js';
import { embeddingOutputs, embeddingTensors, NORMALIZE, POOLED, poolingOf } from './embedding-output.js';
import { InferenceMeter } from './inference-meter.js';
import { pooled, pooledPositions } from './pooling.js';
import {
  facts,
  type ExpertAnswer,
  type ExpertValue,
  type InferOptions,
  type ServedExpert,
} from './served-expert.js';
import { TextGraph, type TextBundle } from './text-graph.js';
import { TEXT_INPUT, textsOf } from './text-input.js';
import type { BatchSettings, Metered } from './text-queue.js';

/** A float32 vector for each text. */
interface Vector {
  readonly vector: Float32Array;
}

interface VectorWish extends Metered {
  /** How tokens become the vector; undefined where the graph does that. */
  readonly pooling: ReturnType<typeof poolingOf> | undefined;
}

abstract class GraphTextExpert implements ServedExpert {
  readonly inputs = [TEXT_INPUT];
  abstract readonly outputs: readonly ExpertValue[];
  abstract readonly parameters: ParameterSpecs;
  readonly manifest: ExpertManifest;
  readonly memoryBytes: number;
  readonly ownBytes: number;

  constructor(
    { bundle }: TextBundle,
    protected readonly graph: TextGraph<VectorWish, Vector>,
    readonly meter: InferenceMeter,
  ) {
    this.manifest = bundle.manifest;
    this.memoryBytes = bundle.sizeBytes;
    this.ownBytes = bundle.sizeBytes;
  }

  abstract infer(inputs: ReadonlyMap<string, Tensor>, options: InferOptions): Promise<ExpertAnswer>;

  release(): Promise<void> {
    return this.graph.release();
  }
}

/** A classifier with a graph of its own: texts in, label, score and scores out. */
export class GraphClassifierExpert extends GraphTextExpert {
  readonly parameters = {};
  readonly outputs: readonly ExpertValue[];
  private readonly labelSet: LabelSet;

  private constructor(text: TextBundle, graph: TextGraph<VectorWish, Vector>, meter: InferenceMeter) {
    super(text, graph, meter);
    this.labelSet = labelSetOf(this.manifest);
    this.outputs = classifierOutputs(this.labelSet.labels.length);
  }

  /** @throws GRAPH_INVALID without `logits`, BUNDLE_INVALID when these are not as many as the labels */
  static async open(
    text: TextBundle,
    runtime: InferenceRuntime,
    settings: BatchSettings,
  ): Promise<GraphClassifierExpert> {
    const { name, labels = [] } = text.bundle.manifest;
    const width = widthOf(needOutput(name, text.summary, [LOGITS], 2));
    if (width !== undefined && width !== labels.length)
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `${name} gives ${width} logits, but its manifest names ${labels.length} labels; write the manifest again.`,
      );
    const { graph, meter } = await openGraph(text, LOGITS, undefined, runtime, settings);
    return new GraphClassifierExpert(text, graph, meter);
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: InferOptions): Promise<ExpertAnswer> {
    const wish = { meter: this.meter, pooling: undefined };
    const answers = await this.graph.submit(textsOf(inputs), () => wish, options);
    const { labels } = this.labelSet;
    const logits = answers.map(({ vector }) => vector);
    return { outputs: classifierTensors(logits, this.labelSet), labels, ...facts(answers) };
  }
}

/** A feature extractor with a graph of its own, whose tokens are pooled here, or in the graph. */
export class GraphEmbeddingExpert extends GraphTextExpert {
  readonly outputs: readonly ExpertValue[];
  readonly parameters: ParameterSpecs;

  private constructor(
    text: TextBundle,
    graph: TextGraph<VectorWish, Vector>,
    meter: InferenceMeter,
    private readonly width: number,
    private readonly isPooledHere: boolean,
  ) {
    super(text, graph, meter);
    this.outputs = embeddingOutputs(width);
    this.parameters = isPooledHere ? POOLED : NORMALIZE;
  }

  /** @throws GRAPH_INVALID without an output that holds a vector for each token, or for each text */
  static async open(
    text: TextBundle,
    runtime: InferenceRuntime,
    settings: BatchSettings,
  ): Promise<GraphEmbeddingExpert> {
    const { manifest } = text.bundle;
    const { outputs } = text.summary;
    const isPooledHere = outputs.some(({ name }) => TOKEN_STATES.includes(name));
    const output = isPooledHere
      ? needOutput(manifest.name, text.summary, TOKEN_STATES, 3)
      : needOutput(manifest.name, text.summary, TEXT_VECTORS, 2);
    const width = widthOf(output);
    if (width === undefined)
      throw new ThalamusError('GRAPH_INVALID', `${manifest.name}: ${output.name} has no fixed width.`);
    const pooling = isPooledHere ? poolingOf(manifest, new Map()) : undefined;
    const { graph, meter } = await openGraph(text, output.name, pooling, runtime, settings);
    return new GraphEmbeddingExpert(text, graph, meter, width, isPooledHere);
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: InferOptions): Promise<ExpertAnswer> {
    const { parameters } = options;
    const pooling = this.isPooledHere ? poolingOf(this.manifest, parameters) : undefined;
    const wish = { meter: this.meter, pooling };
    const answers = await this.graph.submit(textsOf(inputs), () => wish, options);
    const vectors = answers.map(({ vector }) => vector);
    return { outputs: embeddingTensors(vectors, this.width, parameters), ...facts(answers) };
  }
}

type Output = GraphSummary['outputs'][number];

async function openGraph(
  text: TextBundle,
  output: string,
  pooling: VectorWish['pooling'],
  runtime: InferenceRuntime,
  settings: BatchSettings,
) {
  const meter = new InferenceMeter();
  const graph = await TextGraph.open<VectorWish, Vector>(
    text,
    {
      outputs: [output],
      read: (results, items) => {
        const values = asFloat32(results[output], output);
        return items.map(({ wish, tokens }, row) => ({
          vector:
            wish.pooling === undefined
              ? rowAt(values, row)
              : pooled(pooledPositions(wish.pooling, tokens.ids.length).map((at) => rowAt(values, row, at))),
        }));
      },
    },
    { text: 'warm-up', wishOf: () => ({ meter: new InferenceMeter(), pooling }) },
    runtime,
    settings,
  );
  return { graph, meter };
}

/** The last axis at a row, and at a place of it where there are three axes. */
function rowAt({ data, shape }: TensorOf<'float32'>, row: number, place = 0): Float32Array {
  const width = shape.at(-1) ?? 0;
  const from = (row * (shape.length === 3 ? (shape[1] ?? 0) : 1) + place) * width;
  return data.slice(from, from + width);
}

function needOutput(name: string, { outputs }: GraphSummary, names: readonly string[], axes: number): Output {
  const found = outputs.find((output) => names.includes(output.name));
  if (found?.dtype === 'float32' && found.shape.length === axes) return found;
  throw new ThalamusError(
    'GRAPH_INVALID',
    `${name} has no float32 output ${names.join(' or ')} of ${axes} dimensions; it has ${outputs.map((output) => output.name).join(', ')}.`,
  );
}

function widthOf({ shape }: Output): number | undefined {
  const width = shape.at(-1);
  return typeof width === 'number' ? width : undefined;
}
