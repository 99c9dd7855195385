import type { ExpertManifest } from '@thalamus/bundle';
import type { Tensor } from '@thalamus/tensor';
import type { ParameterSpecs } from '../domain/oip-parameters.js';
import type { BaseWant } from './base-wish.js';
import { classifierOutputs, classifierTensors, labelSetOf, type LabelSet } from './classifier-outputs.js';
import {
  embeddingOutputs,
  embeddingTensors,
  POOLED,
  poolingOf,
  wantsNormalised,
} from './embedding-output.js';
import { InferenceMeter } from './inference-meter.js';
import type { ResidentBase } from './resident-base.js';
import {
  facts,
  type ExpertAnswer,
  type ExpertValue,
  type InferOptions,
  type ServedExpert,
} from './served-expert.js';
import { TEXT_INPUT, textsOf } from './text-input.js';

/** An expert over a base: the id of its head and adapter, and how it lets go of them. */
export interface DeltaPlace {
  readonly id: string;
  readonly isLowRank: boolean;
  /** Bytes of its adapter and of its head. */
  readonly bytes: number;
  readonly release: () => Promise<void>;
}

/** The base itself as a feature-extraction expert: one vector for each text. */
export class EmbeddingExpert implements ServedExpert {
  readonly inputs = [TEXT_INPUT];
  readonly outputs: readonly ExpertValue[];
  readonly parameters: ParameterSpecs;
  readonly meter = new InferenceMeter();
  readonly memoryBytes: number;
  readonly ownBytes = 0;

  constructor(
    readonly manifest: ExpertManifest,
    private readonly base: ResidentBase,
    /** Whether the graph gives the states of tokens, which other poolings are made from. */
    private readonly hasStates: boolean,
    private readonly onRelease: () => Promise<void>,
  ) {
    this.outputs = embeddingOutputs(base.width);
    this.parameters = hasStates ? POOLED : {};
    this.memoryBytes = base.memoryBytes;
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: InferOptions): Promise<ExpertAnswer> {
    const texts = textsOf(inputs);
    const { parameters } = options;
    const pooling = poolingOf(this.manifest, parameters);
    const isOwn = !this.hasStates || (pooling === 'mean' && wantsNormalised(parameters));
    const want: BaseWant = isOwn ? { kind: 'embedding' } : { kind: 'pooled', pooling };
    const wish = { id: '', isLowRank: false, want, meter: this.meter };
    const answers = await this.base.submit(texts, () => wish, options);
    const vectors = answers.map(({ vector }) => vector);
    return { outputs: embeddingTensors(vectors, this.base.width, parameters), ...facts(answers) };
  }

  release(): Promise<void> {
    return this.onRelease();
  }
}

/** A head on a resident base, with an adapter or without one: label, its probability, and the probabilities of all labels. */
export class ClassifierExpert implements ServedExpert {
  readonly inputs = [TEXT_INPUT];
  readonly outputs: readonly ExpertValue[];
  readonly parameters = {};
  readonly meter = new InferenceMeter();
  readonly memoryBytes: number;
  readonly ownBytes: number;
  private readonly labelSet: LabelSet;

  constructor(
    readonly manifest: ExpertManifest,
    private readonly place: DeltaPlace,
    private readonly base: ResidentBase,
  ) {
    this.labelSet = labelSetOf(manifest);
    this.outputs = classifierOutputs(this.labelSet.labels.length);
    this.ownBytes = place.bytes;
    this.memoryBytes = place.bytes;
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: InferOptions): Promise<ExpertAnswer> {
    const texts = textsOf(inputs);
    const { id, isLowRank } = this.place;
    const wish = { id, isLowRank, want: { kind: 'logits' as const }, meter: this.meter };
    const answers = await this.base.submit(texts, () => wish, options);
    const logits = answers.map(({ vector }) => vector);
    const { labels } = this.labelSet;
    return { outputs: classifierTensors(logits, this.labelSet), labels, ...facts(answers) };
  }

  release(): Promise<void> {
    return this.place.release();
  }
}
