import type { LossInterval } from '../calibrated-losses.js';
import type { LossHeads } from '../loss-heads.js';
import type { FeatureBlock, FeatureSpec } from '../router-features.js';
import { headsFromTensors, type HeadFacts, type ReadTensor } from '../router-tensors.js';
import type { StageGate } from './stages.js';

/** What the manifest says of a second stage. */
export interface SecondStageFacts {
  readonly dimension: number;
  readonly inputs: readonly FeatureBlock[];
  readonly heads: HeadFacts;
  readonly threshold: number;
  readonly margin: number;
  /** Of the first stage, by candidate. */
  readonly intervals: readonly LossInterval[];
}

/** What the second stage stands on. */
export interface FirstStageFacts {
  readonly spec: FeatureSpec;
  readonly candidates: number;
  /** Regions of both stages together, each with as many. */
  readonly regionCount: number;
}

/** The second stage of a router model. */
export interface SecondStageModel {
  readonly heads: LossHeads;
  readonly spec: FeatureSpec;
  readonly gate: StageGate;
}

/** Heads, parts and gate of a second stage, which shares the tables of the first. @throws what `read` throws */
export function secondStageFromTensors(
  { dimension, inputs, heads, threshold, margin, intervals }: SecondStageFacts,
  { spec, candidates, regionCount }: FirstStageFacts,
  read: ReadTensor,
): SecondStageModel {
  return {
    heads: headsFromTensors(heads, { dimension, candidates }, read),
    spec: { ...spec, blocks: inputs },
    gate: { threshold, margin, intervals, regions: regionCount / 2 },
  };
}
