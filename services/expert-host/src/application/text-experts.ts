import type { ExpertManifest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { SubmitOptions } from '@thalamus/inference';
import { argMax, softmax, tensor, type Tensor } from '@thalamus/tensor';
import type { BaseAnswer, ExpertWish, ResidentBase } from './resident-base.js';
import type { ExpertAnswer, ExpertValue, ServedExpert } from './served-expert.js';
import { textsOf } from './text-input.js';

/** The one input of every text expert. */
export const TEXT_INPUT: ExpertValue = { name: 'text', datatype: 'BYTES', shape: [-1] };

/** The base itself as a feature-extraction expert: one normalised vector for each text. */
export class EmbeddingExpert implements ServedExpert {
  readonly inputs = [TEXT_INPUT];
  readonly outputs: readonly ExpertValue[];
  readonly memoryBytes: number;
  readonly ownBytes = 0;

  constructor(
    readonly manifest: ExpertManifest,
    private readonly base: ResidentBase,
    private readonly onRelease: () => Promise<void>,
  ) {
    this.outputs = [{ name: 'embedding', datatype: 'FP32', shape: [-1, base.width] }];
    this.memoryBytes = base.memoryBytes;
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: SubmitOptions): Promise<ExpertAnswer> {
    const texts = textsOf(inputs);
    const answers = await this.base.submit(texts, undefined, options);
    const data = new Float32Array(texts.length * this.base.width);
    answers.forEach((answer, index) => {
      data.set(answer.embedding, index * this.base.width);
    });
    return {
      outputs: new Map([['embedding', tensor('float32', [texts.length, this.base.width], data)]]),
      ...facts(answers),
    };
  }

  release(): Promise<void> {
    return this.onRelease();
  }
}

/** A head on a resident base, with an adapter or without one: label, its probability, and the probabilities of all labels. */
export class ClassifierExpert implements ServedExpert {
  readonly inputs = [TEXT_INPUT];
  readonly outputs: readonly ExpertValue[];
  readonly memoryBytes: number;
  readonly ownBytes: number;
  private readonly labels: readonly string[];

  constructor(
    readonly manifest: ExpertManifest,
    private readonly wish: ExpertWish,
    private readonly base: ResidentBase,
    adapterBytes: number,
    private readonly onRelease: () => Promise<void>,
  ) {
    this.labels = manifest.labels ?? [];
    this.outputs = classifierOutputs(this.labels.length);
    this.ownBytes = adapterBytes + this.labels.length * (base.width + 1) * Float32Array.BYTES_PER_ELEMENT;
    this.memoryBytes = this.ownBytes;
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: SubmitOptions): Promise<ExpertAnswer> {
    const texts = textsOf(inputs);
    const answers = await this.base.submit(texts, this.wish, options);
    const logits = answers.map((answer) => {
      if (!answer.logits) throw new ThalamusError('INTERNAL', `${this.wish.id} gave no logits.`);
      return answer.logits;
    });
    return { outputs: classifierTensors(logits, this.labels), labels: this.labels, ...facts(answers) };
  }

  release(): Promise<void> {
    return this.onRelease();
  }
}

/** Outputs of every text classifier. */
export function classifierOutputs(labels: number): ExpertValue[] {
  return [
    { name: 'label', datatype: 'BYTES', shape: [-1] },
    { name: 'score', datatype: 'FP32', shape: [-1] },
    { name: 'scores', datatype: 'FP32', shape: [-1, labels] },
  ];
}

/** `label`, `score` and `scores` from logits of equal length. */
export function classifierTensors(
  logits: readonly Float32Array[],
  labels: readonly string[],
): Map<string, Tensor> {
  const probabilities = logits.map((row) => softmax(row));
  const best = probabilities.map((row) => argMax(row));
  const scores = new Float32Array(logits.length * labels.length);
  probabilities.forEach((row, index) => {
    scores.set(row, index * labels.length);
  });
  return new Map<string, Tensor>([
    [
      'label',
      tensor(
        'string',
        [logits.length],
        best.map((index) => labels[index] ?? ''),
      ),
    ],
    [
      'score',
      tensor(
        'float32',
        [logits.length],
        Float32Array.from(best, (index, row) => probabilities[row]?.[index] ?? 0),
      ),
    ],
    ['scores', tensor('float32', [logits.length, labels.length], scores)],
  ]);
}

/** Facts of a request from those of its texts. */
export function facts(
  answers: readonly Pick<BaseAnswer, 'tokenCount' | 'truncated' | 'batchSize'>[],
): Pick<ExpertAnswer, 'promptTokens' | 'truncated' | 'batchSize'> {
  return {
    promptTokens: answers.reduce((sum, answer) => sum + answer.tokenCount, 0),
    truncated: answers.some((answer) => answer.truncated),
    batchSize: Math.max(...answers.map((answer) => answer.batchSize)),
  };
}
