import { z } from 'zod';
import { bundleName, count } from './manifest-fields.js';

/** One part of the vector that the heads read. */
export const encoderInput = z.strictObject({
  /**
   * `sentence`: vector of the encoder's graph. `tokens`: sum of static vectors of the word pieces. `grams`: the same of
   * hashed runs of one and two word pieces. `prompt`: length, shares of digits and code, and the like.
   */
  kind: z.enum(['sentence', 'tokens', 'grams', 'prompt']),
  width: count.min(1),
  /** Length that the part has before the whole vector is brought to length 1. */
  weight: z.number().positive(),
});

/** Sizes of a head that the shapes of its tensors do not tell. */
const headSizes = {
  /** Width of the hidden layer of `mlp`; number of gates of `gated`; width of the projection of `nearest`. */
  hidden: count.optional(),
  /** Of `nearest`: rows that are averaged. */
  neighbours: count.min(1).optional(),
  /** Of `nearest`: a row counts exp(cosine / temperature). */
  temperature: z.number().positive().optional(),
};

const headPart = z.strictObject({
  /** Weight of the part in the mean. */
  share: z.number().positive(),
  kind: z.enum(['linear', 'mlp', 'gated', 'nearest']),
  ...headSizes,
});

/** Fitted heads. */
export const heads = z.strictObject({
  /**
   * `linear`: loss = W e + b. `mlp`: loss = W2 relu(W1 e + b1) + b2. `gated`: loss = W [softmax(G e + c), e] + b. `nearest`:
   * mean over the nearest rows. `average`: weighed mean of `parts`. e is the L2-normalised embedding.
   */
  kind: z.enum(['linear', 'mlp', 'gated', 'nearest', 'average']),
  file: z.string().min(1),
  ...headSizes,
  /** Of `average`. */
  parts: z.array(headPart).min(1).max(16).optional(),
});

/** Interval of the losses of one candidate. */
export const interval = z.strictObject({
  expert: bundleName,
  /** Conformal quantile of the residual (measured - predicted) at (1 - coverage) / 2, in the loss unit. */
  lower: z.number(),
  /** The same at (1 + coverage) / 2. */
  upper: z.number(),
  /** What both are multiplied by in each region; absent: 1. */
  scales: z.array(z.number().positive()).min(1).optional(),
});

/** Says what is wrong at a path. */
export type Issue = (path: string, message: string) => void;

const NEEDS: Readonly<Record<z.infer<typeof headPart>['kind'], readonly (keyof typeof headSizes)[]>> = {
  linear: [],
  mlp: ['hidden'],
  gated: ['hidden'],
  nearest: ['hidden', 'neighbours', 'temperature'],
};

/** Heads with the sizes that their kind needs. */
export function checkHeads(given: z.infer<typeof heads>, issue: Issue, path = 'heads'): void {
  if (given.kind === 'average') {
    if (!given.parts) issue(path, 'parts are required for the kind average');
    for (const part of given.parts ?? []) checkSizes(part.kind, part, issue, path);
  } else checkSizes(given.kind, given, issue, path);
}

function checkSizes(
  kind: keyof typeof NEEDS,
  given: Partial<Record<string, unknown>>,
  issue: Issue,
  path: string,
): void {
  const missing = NEEDS[kind].filter((name) => given[name] === undefined);
  if (missing.length > 0) issue(path, `${missing.join(', ')} is required for the kind ${kind}`);
}

/** Parts of a vector of a width: each kind once, as wide together. */
export function checkInputs(
  inputs: readonly z.infer<typeof encoderInput>[],
  dimension: number,
  issue: Issue,
  path: string,
): void {
  const width = inputs.reduce((sum, input) => sum + input.width, 0);
  if (width !== dimension) issue(path, `inputs are ${width} wide together, dimension is ${dimension}`);
  const kinds = inputs.map(({ kind }) => kind);
  if (new Set(kinds).size !== kinds.length) issue(path, 'inputs name the same kind twice');
}
