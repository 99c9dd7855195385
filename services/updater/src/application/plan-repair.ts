import { JOB_ARTIFACTS, MIN_REPAIR_ROWS, registryV1, type RepairParameters } from '@thalamus/contracts';
import { invalid, json, type JobPlan } from './job-plan.js';
import { CLASSIFICATION_TASK, type RegisteredInputs } from './registered-inputs.js';

const { ExpertKind } = registryV1;

/**
 * What a repair reads: both versions with the bases that they stand on, and the rows. What the registry can tell is checked here; that
 * labels and tokenizers are the same is seen when the versions are opened.
 * @throws EXPERT_NOT_FOUND, RESOURCE_NOT_FOUND; REQUEST_INVALID by field
 */
export function planRepair(wanted: RepairParameters, registered: RegisteredInputs): JobPlan {
  const from = registered.version('parameters.from', wanted.from);
  const to = registered.version('parameters.to', wanted.to);
  if (from.task !== CLASSIFICATION_TASK || from.kind === ExpertKind.UPSTREAM)
    throw invalid(
      'parameters.from',
      `${wanted.from} is ${kindOf(from)} for ${from.task}; what is kept to is a local expert for ${CLASSIFICATION_TASK}`,
    );
  if (to.task !== CLASSIFICATION_TASK || to.kind !== ExpertKind.LOWRANK)
    throw invalid(
      'parameters.to',
      `${wanted.to} is ${kindOf(to)} for ${to.task}; a repair trains a low-rank adapter for ${CLASSIFICATION_TASK} on: train it with the method lora or svd`,
    );
  if (from.manifestDigest === to.manifestDigest)
    throw invalid('parameters.to', `${wanted.to} and ${wanted.from} are the same bundle`);
  if (from.labelCount !== to.labelCount)
    throw invalid(
      'parameters.to',
      `${wanted.to} has ${to.labelCount} labels, ${wanted.from} ${from.labelCount}; a repair needs the same labels in both`,
    );
  const data = registered.learnable('parameters.dataset', wanted.dataset);
  const { testDataset } = wanted;
  const test =
    testDataset === undefined ? undefined : registered.dataset('parameters.testDataset', testDataset);
  if (test?.digest === data.digest)
    throw invalid(
      'parameters.testDataset',
      'is the same file as the rows to learn from; give rows of its own',
    );
  if (data.rows > 0n && data.rows < BigInt(MIN_REPAIR_ROWS))
    throw invalid(
      'parameters.dataset',
      `${wanted.dataset} has ${data.rows} rows; a repair needs ${MIN_REPAIR_ROWS} or more`,
    );
  return {
    parameters: json(wanted),
    inputs: [
      { name: JOB_ARTIFACTS.data, digest: data.digest },
      ...(test ? [{ name: JOB_ARTIFACTS.test, digest: test.digest }] : []),
      { name: JOB_ARTIFACTS.from, digest: from.manifestDigest },
      ...(from.baseDigest === '' ? [] : [{ name: JOB_ARTIFACTS.fromBase, digest: from.baseDigest }]),
      { name: JOB_ARTIFACTS.to, digest: to.manifestDigest },
      { name: JOB_ARTIFACTS.base, digest: to.baseDigest },
    ],
  };
}

function kindOf({ kind }: registryV1.ExpertVersion): string {
  return ExpertKind[kind].toLowerCase();
}
