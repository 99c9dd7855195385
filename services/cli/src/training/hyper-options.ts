import {
  HYPER_PARAMETER_NAMES,
  HYPER_PARAMETER_RANGES,
  SCHEDULES,
  withoutEffect,
  type HyperParameterName,
  type TrainingMethod,
  type TrainParameters,
} from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { Option, type Command } from 'commander';
import { numberIn, wholeNumber } from '../mesh-command.js';

/** Hyper-parameters that were given. */
export type GivenHyperParameters = {
  readonly [Name in HyperParameterName]?: NonNullable<TrainParameters[Name]>;
};

/** Flag and text of each hyper-parameter; what a number may be is said where jobs are defined. */
const OPTIONS: Readonly<Record<HyperParameterName, readonly [flag: string, text: string]>> = {
  epochs: ['--epochs <n>', 'passes over the rows; default: full and svd 2, lora 4'],
  rate: ['--rate <rate>', 'peak learning rate; default: full and svd 8e-5, lora 5e-4'],
  headRate: ['--head-rate <rate>', 'peak learning rate of the head; default: 1e-3'],
  decay: ['--decay <share>', 'decoupled weight decay; default: 0.01'],
  schedule: ['--schedule <form>', 'how the rate falls; default: linear'],
  warmUpShare: ['--warm-up <share>', 'share of the steps in which the rate rises; default: 0.1'],
  clipNorm: ['--clip <norm>', 'largest global norm of the gradients; default: 1'],
  accumulate: ['--accumulate <n>', 'batches that make one step; default: 1'],
  rowsPerBatch: ['--batch <rows>', 'most rows of a batch; default: 32'],
  tokensPerBatch: ['--tokens-per-batch <n>', 'most tokens of a batch, padding included; default: 2048'],
  maxTokens: ['--max-tokens <n>', 'longer texts are cut in training; default: 128'],
  patience: ['--patience <n>', 'validations without a better one that end training; default: 4'],
  rank: ['--rank <n>', 'rank of the branches of lora, and of what svd keeps of full; default: 16'],
  alpha: ['--alpha <n>', 'branches of lora are multiplied by alpha / rank; default: 16'],
};

/** Gives a command the options of hyper-parameters. */
export function addHyperOptions(command: Command): Command {
  for (const name of HYPER_PARAMETER_NAMES) command.addOption(optionOf(name));
  return command;
}

/** The hyper-parameters among the options of a command. @throws CONFIG_INVALID for one that the method does not heed */
export function hyperParametersOf(options: object, method: TrainingMethod): GivenHyperParameters {
  const typed = options as Readonly<Record<string, unknown>>;
  const given = HYPER_PARAMETER_NAMES.flatMap((name) => {
    const value = typed[optionOf(name).attributeName()];
    return value === undefined ? [] : [[name, value] as const];
  });
  const idle = withoutEffect(
    method,
    given.map(([name]) => name),
  );
  if (idle.length === 0) return Object.fromEntries(given);
  const flags = idle.map((name) => optionOf(name as HyperParameterName).long).join(', ');
  throw new ThalamusError(
    'CONFIG_INVALID',
    `${flags}: the method ${method} has no such setting; leave it away, or choose another with --method.`,
  );
}

function optionOf(name: HyperParameterName): Option {
  const option = new Option(...OPTIONS[name]);
  if (name === 'schedule') return option.choices(SCHEDULES);
  const { smallest, largest, isWhole } = HYPER_PARAMETER_RANGES[name];
  return option.argParser((isWhole ? wholeNumber : numberIn)(smallest, largest));
}
