import { create, type JsonObject } from '@bufbuild/protobuf';
import {
  isJobKind,
  JOB_ARTIFACTS,
  JOB_KINDS,
  JOB_PARAMETERS,
  jobV1,
  registryV1,
  type EvaluateParameters,
  type JobKind,
  type LossTableParameters,
  type RepairParameters,
  type TrainParameters,
} from '@thalamus/contracts';
import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { invalid, json, type JobPlan } from './job-plan.js';
import type { JobTable } from './job-table.js';
import { planLossTable } from './plan-loss-table.js';
import { planRepair } from './plan-repair.js';
import { CLASSIFICATION_TASK, MASK_TASK, RegisteredInputs } from './registered-inputs.js';

/**
 * Takes jobs: parameters are checked, names are looked up in the registry, and the digests that they stand for now are
 * fixed, so that every attempt reads the same bytes. What cannot work is refused before it is stored.
 */
export class SubmitJob {
  private readonly registered: RegisteredInputs;

  constructor(
    private readonly jobs: JobTable,
    private readonly view: RegistryView,
  ) {
    this.registered = new RegisteredInputs(view);
  }

  /**
   * With an id of the caller's own the same call twice stores one job.
   * @throws REQUEST_INVALID by field, METHOD_UNSUPPORTED, EXPERT_NOT_FOUND, RESOURCE_NOT_FOUND, RATE_LIMITED
   */
  async run(request: jobV1.SubmitRequest, id?: string): Promise<jobV1.Job> {
    const plan = this.plan(request.kind, request.parameters ?? {});
    for (const { name, digest } of request.inputs) {
      const planned = plan.inputs.find((input) => input.name === name)?.digest;
      if (planned !== digest)
        throw invalid('inputs', `${name} is ${planned ?? 'not read by this job'}, but ${digest} was given`);
    }
    return this.jobs.submit(
      create(jobV1.SubmitRequestSchema, {
        ...request,
        parameters: plan.parameters,
        inputs: plan.inputs.map((input) => create(jobV1.JobArtifactSchema, input)),
      }),
      id,
    );
  }

  /** What a job would read, with every default filled in; nothing is stored. @throws as `run` */
  plan(kindText: string, given: JsonObject): JobPlan {
    const kind = knownKind(kindText);
    switch (kind) {
      case JOB_KINDS.train:
        return this.planTrain(parse(kind, given) as TrainParameters);
      case JOB_KINDS.evaluate:
        return this.planEvaluate(parse(kind, given) as EvaluateParameters);
      case JOB_KINDS.lossTable:
        return planLossTable(parse(kind, given) as LossTableParameters, this.registered);
      case JOB_KINDS.repair:
        return planRepair(parse(kind, given) as RepairParameters, this.registered);
    }
  }

  private planTrain(wanted: TrainParameters): JobPlan {
    const known = this.view.expert(wanted.expert);
    if (known && known.task !== wanted.task)
      throw invalid(
        'parameters.expert',
        `${wanted.expert} serves ${known.task}; what is trained serves ${wanted.task}`,
      );
    const base = this.registered.base(wanted.base);
    const start = wanted.startFrom === undefined ? undefined : this.start(wanted.startFrom, base);
    const data = this.registered.learnable('parameters.dataset', wanted.dataset);
    const test =
      wanted.testDataset === undefined
        ? undefined
        : this.registered.dataset('parameters.testDataset', wanted.testDataset);
    if (test?.digest === data.digest)
      throw invalid('parameters.testDataset', 'is the same file as the training data; give rows of its own');
    return {
      parameters: json({ ...wanted, base: `${base.expert}@${base.version}` }),
      inputs: [
        { name: JOB_ARTIFACTS.data, digest: data.digest },
        ...(test ? [{ name: JOB_ARTIFACTS.test, digest: test.digest }] : []),
        { name: JOB_ARTIFACTS.base, digest: base.manifestDigest },
        ...(start ? [{ name: JOB_ARTIFACTS.start, digest: start.manifestDigest }] : []),
      ],
    };
  }

  private planEvaluate(wanted: EvaluateParameters): JobPlan {
    const version = wanted.version ?? this.view.expert(wanted.expert)?.stable ?? '';
    const found = this.view.version(wanted.expert, version);
    if (!found)
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `No version ${wanted.expert}@${version || '(stable)'} is registered; "thalamus experts list" shows what is.`,
      );
    const isJudged = found.task === CLASSIFICATION_TASK || found.task === MASK_TASK;
    if (!isJudged || found.kind === registryV1.ExpertKind.UPSTREAM) {
      const kind = registryV1.ExpertKind[found.kind].toLowerCase();
      throw invalid(
        'parameters.expert',
        `${wanted.expert}@${version} is ${kind} for ${found.task}; evaluate judges local experts for ${CLASSIFICATION_TASK} and ${MASK_TASK}`,
      );
    }
    const data = this.registered.dataset('parameters.dataset', wanted.dataset);
    // One that stands alone is measured with the tokenizer of the base.
    const base =
      found.task === MASK_TASK && found.baseDigest === ''
        ? this.registered.base(undefined).manifestDigest
        : found.baseDigest;
    return {
      parameters: json({ ...wanted, version }),
      inputs: [
        { name: JOB_ARTIFACTS.data, digest: data.digest },
        { name: JOB_ARTIFACTS.expert, digest: found.manifestDigest },
        ...(base === '' ? [] : [{ name: JOB_ARTIFACTS.base, digest: base }]),
      ],
    };
  }

  /** The masked language model that training begins with. */
  private start(reference: string, base: registryV1.ExpertVersion): registryV1.ExpertVersion {
    const field = 'parameters.startFrom';
    const [expert = '', version = ''] = reference.split('@');
    const found = this.view.version(expert, version);
    if (!found)
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `No version ${reference} is registered; name a registered masked language model.`,
        { violations: [{ field, description: 'a registered version, name@version' }] },
      );
    if (found.task !== MASK_TASK || found.kind !== registryV1.ExpertKind.LOWRANK)
      throw invalid(
        field,
        `${reference} is ${registryV1.ExpertKind[found.kind].toLowerCase()} for ${found.task}; training begins with one of the kind lowrank for ${MASK_TASK}`,
      );
    if (found.baseDigest !== base.manifestDigest)
      throw invalid(field, `${reference} stands on another base than ${base.expert}@${base.version}`);
    return found;
  }
}

function knownKind(kind: string): JobKind {
  if (isJobKind(kind)) return kind;
  const known = Object.values(JOB_KINDS).join(', ');
  throw invalid('kind', `"${kind}" is unknown to this version; known are ${known}`);
}

function parse(kind: JobKind, given: JsonObject): unknown {
  const result = JOB_PARAMETERS[kind].safeParse(given);
  if (result.success) return result.data;
  const violations = result.error.issues.flatMap((issue): FieldViolation[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({
          field: `parameters.${[...issue.path, key].join('.')}`,
          description: `is unknown; known are ${Object.keys(JOB_PARAMETERS[kind].shape).join(', ')}`,
        }))
      : [{ field: `parameters.${issue.path.join('.')}`, description: issue.message }],
  );
  const list = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  throw new ThalamusError('REQUEST_INVALID', `The parameters of the ${kind} job are not valid: ${list}.`, {
    violations,
  });
}
