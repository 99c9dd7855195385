// Ways to predict the losses, and the scores that could find prompts that no expert fits.
import { predictLosses, gatedFeatures, prototypeDistances } from '@thalamus/routing';
import {
  bestCandidates,
  fitGatedLosses,
  fitLinearLosses,
  fitMlpLosses,
  fitSoftmaxRegression,
  sphericalKMeans,
} from '@thalamus/training';
import { ROUTED_TASKS } from '../tasks.mjs';
import { WIDTH } from '../served-experts.mjs';
import { joinRows } from './measure.mjs';

/** Ridge of the losses on the gate's probabilities and the embedding. */
const LOSS_L2 = 1e-4;

/**
 * Gated heads whose gate also learns from the rows that the experts were trained on. Which expert a row belongs to does
 * not depend on how well that expert does on it; the losses themselves are fitted to the router's rows alone.
 */
function fitWideGate({ expert, router }, candidates, gateL2) {
  const set = new Map(ROUTED_TASKS.map((task, index) => [task.set, index]));
  const both = joinRows([expert, router]);
  const rows = { features: router.features, dimension: WIDTH, losses: router.losses, candidates };
  const classes = Int32Array.from(both.rows, (row) => set.get(row.set));
  classes.set(bestCandidates(rows), expert.rows.length);
  const gate = fitSoftmaxRegression(
    { features: both.features, width: WIDTH, classes, classCount: candidates },
    { l2: gateL2 },
  );
  const features = gatedFeatures(router.features, WIDTH, gate.weights, gate.bias);
  const { weights, bias } = fitLinearLosses({ ...rows, features, dimension: candidates + WIDTH }, LOSS_L2);
  return { kind: 'gated', dimension: WIDTH, gateWeights: gate.weights, gateBias: gate.bias, weights, bias };
}

/** Kinds of heads, each with a function that fits it. */
export function headIdeas(data, candidates, seed) {
  const rows = { features: data.router.features, dimension: WIDTH, losses: data.router.losses, candidates };
  return [
    ...[1e-5, 1e-4, 1e-3].map((l2) => ({ name: `ridge, l2 ${l2}`, fit: () => fitLinearLosses(rows, l2) })),
    ...[0, 1].map((ranking) => ({
      name: `MLP 64, Huber${ranking ? ' + ranking' : ''}, l2 0.0001`,
      fit: () => fitMlpLosses(rows, { hidden: 64, l2: 1e-4, maxIterations: 300, ranking, seed }),
    })),
    ...[1e-3, 1e-4, 1e-5].map((gateL2) => ({
      name: `gated, gate l2 ${gateL2}`,
      fit: () => fitGatedLosses(rows, { gateL2, l2: LOSS_L2 }),
    })),
    ...[1e-4, 3e-5, 1e-5, 3e-6].map((gateL2) => ({
      name: `gated, gate on expert rows too, l2 ${gateL2}`,
      fit: () => fitWideGate(data, candidates, gateL2),
    })),
  ];
}

/** The gate's logits for each row. */
function gateLogits({ gateWeights, gateBias }, features) {
  return Array.from({ length: features.length / WIDTH }, (_, row) =>
    Array.from(gateBias, (bias, gate) => {
      let sum = bias;
      for (let at = 0; at < WIDTH; at++) sum += gateWeights[gate * WIDTH + at] * features[row * WIDTH + at];
      return sum;
    }),
  );
}

const logSumExp = (logits) => {
  const largest = Math.max(...logits);
  return largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
};

/**
 * Scores that are larger for prompts that no expert fits. Those with a `score` can be shipped: the name is what the
 * manifest calls it.
 */
export function abstentionIdeas(data, heads, candidates, seed) {
  const prototypes = (vectors, count) => {
    const rows = sphericalKMeans(vectors, WIDTH, count, seed, 8);
    return {
      score: 'prototype-distance',
      prototypes: rows,
      of: (features) => prototypeDistances(features, rows, WIDTH),
    };
  };
  const leastLoss = (features) => {
    const losses = predictLosses(heads, features);
    return Float32Array.from({ length: features.length / WIDTH }, (_, row) =>
      Math.min(...losses.subarray(row * candidates, (row + 1) * candidates)),
    );
  };
  const both = joinRows([data.expert, data.router]).features;
  const ideas = [
    { name: 'smallest predicted loss', score: 'min-predicted-loss', of: leastLoss },
    { name: '256 prototypes of the router rows', ...prototypes(data.router.features, 256) },
    { name: '1024 prototypes of the expert and router rows', ...prototypes(both, 1024) },
    {
      name: 'nearest of all expert and router rows (37 MB, not shipped)',
      of: (features) => prototypeDistances(features, both, WIDTH),
    },
  ];
  if (heads.kind !== 'gated') return ideas;
  const byLogits = (name, score) => ({
    name,
    of: (features) => Float32Array.from(gateLogits(heads, features), score),
  });
  return [
    ...ideas,
    byLogits('largest probability of the gate', (logits) => logSumExp(logits) - Math.max(...logits)),
    byLogits('energy of the gate', (logits) => -logSumExp(logits)),
  ];
}
