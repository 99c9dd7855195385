import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';
import type { CheckpointContent } from '../loop/checkpoint-file.js';
import type { FittedProbe } from './fit-probe.js';

const metrics = z.object({
  n: z.number(),
  accuracy: z.number(),
  macroF1: z.number(),
  logLoss: z.number(),
  calibrationError: z.number(),
});
const schema = z.object({
  probe: z.object({ labels: z.array(z.string()), l2: z.number(), validation: metrics, test: metrics }),
});
const HEAD = { weights: 'probe/weights', bias: 'probe/bias' } as const;

/** What a checkpoint holds of the probe that a run started from, so that going on needs neither embeddings nor a fit. */
export function probeContent({ probe, test }: FittedProbe): CheckpointContent {
  const { head, labels, l2, validation } = probe;
  const width = head.weights.length / labels.length;
  return {
    tensors: new Map([
      [HEAD.weights, { shape: [labels.length, width], data: head.weights }],
      [HEAD.bias, { shape: [labels.length], data: head.bias }],
    ]),
    facts: { probe: { labels, l2, validation, test } },
  };
}

/** The probe of a checkpoint. @throws BUNDLE_INVALID when it holds none */
export function readProbe({ tensors, facts }: CheckpointContent): FittedProbe {
  const parsed = schema.safeParse(facts);
  const weights = tensors.get(HEAD.weights)?.data;
  const bias = tensors.get(HEAD.bias)?.data;
  if (!parsed.success || !weights || !bias)
    throw new ThalamusError(
      'BUNDLE_INVALID',
      'The checkpoint holds no probe that the run started from; remove it and train from the start.',
    );
  const { labels, l2, validation, test } = parsed.data.probe;
  return { probe: { head: { weights, bias }, labels, l2, validation }, test };
}
