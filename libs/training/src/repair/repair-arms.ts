import type { TeacherRule } from '@thalamus/autodiff';
import { REPAIR_METHODS, type RepairMethod } from '@thalamus/contracts';
import { HYPER_PARAMETERS, type HyperParameters } from '../methods/hyper-parameters.js';

/** What a repaired adapter learns from. */
export interface RepairArm {
  /** Whom a row learns from; undefined: nobody but its label. */
  readonly rule: TeacherRule | undefined;
  /** Share of the distillation in the loss; the rest is the cross-entropy of the labels. */
  readonly share: number;
  /** In words, for recipes and pages. */
  readonly description: string;
}

/**
 * The paper gives no share for its mixes. At the temperature of 2 a divergence without T^2 has about a quarter of the gradient of a
 * cross-entropy, so that four parts against one weigh alike.
 */
const MIX = 0.8;

/**
 * What can be trained from the new version's adapter on the same rows with the same steps. The first six are MUSCLE and the masks of
 * its ablation (arXiv 2407.09435); an item of a classifier is one target, so its mask by sequence is that by target. `new` and
 * `continued` are controls that the paper lacks; the last three are ideas of ours. `old`, `new` and `mean` look at no label.
 */
export const REPAIR_ARMS: Readonly<Record<RepairMethod, RepairArm>> = {
  muscle: {
    rule: 'student-wrong',
    share: 1,
    description: 'the old version where the student errs, else the new one',
  },
  'muscle-ce': {
    rule: 'student-wrong',
    share: MIX,
    description: 'the same with a fifth of cross-entropy',
  },
  old: { rule: 'old', share: 1, description: 'the old version everywhere' },
  'old-right': {
    rule: 'old-right',
    share: 1,
    description: 'the old version where it is right, else the new one',
  },
  'less-likely-ce': {
    rule: 'less-likely',
    share: MIX,
    description:
      'the old version where it is surer of the label than the student, else the new one, and a fifth of cross-entropy',
  },
  new: { rule: 'new', share: 1, description: 'the new version everywhere' },
  continued: { rule: undefined, share: 0, description: 'the labels alone: training goes on' },
  mean: { rule: 'mean', share: 1, description: 'the mean of both versions' },
  'mean-ce': {
    rule: 'mean',
    share: MIX,
    description: 'the mean of both versions and a fifth of cross-entropy',
  },
  'old-right-alone-ce': {
    rule: 'old-right-alone',
    share: MIX,
    description: 'the old version where it is right, nothing elsewhere, and a fifth of cross-entropy',
  },
};

/** Name of what a repaired adapter learns from. */
export type RepairArmName = RepairMethod;

/** Names of all arms. */
export const REPAIR_ARM_NAMES: readonly RepairArmName[] = REPAIR_METHODS;

/** Both sides of a divergence are softened by it: the paper's. */
export const REPAIR_TEMPERATURE = 2;

/** Settings of a repair: the adapter stands where training left it, so the rates are below those of training. */
export const REPAIR_HYPER_PARAMETERS: HyperParameters = {
  ...HYPER_PARAMETERS.lora,
  epochs: 3,
  rate: 1e-3,
  headRate: 5e-3 / 3,
  decay: 0,
  validationsPerEpoch: 1,
};
