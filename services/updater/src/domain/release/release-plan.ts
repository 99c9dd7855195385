import { create } from '@bufbuild/protobuf';
import { releaseV1, type Task } from '@thalamus/contracts';
import { ThalamusError, type FieldViolation } from '@thalamus/errors';

const CHAT: Task = 'text-generation';
const DEFAULT_STEPS = [0.05, 0.25, 1];
const MAX_STEPS = 16;
const MAX_STEP_SECONDS = 30 * 86_400;

/**
 * The plan that a request asks for, with defaults where it is silent. Chat is not mirrored: every answer costs, and two good ones differ.
 * @throws REQUEST_INVALID with every field that is out of range
 */
export function planOf(request: releaseV1.StartRequest, task = ''): releaseV1.ReleasePlan {
  const isMirrored = task !== CHAT;
  const plan = create(releaseV1.ReleasePlanSchema, {
    steps: request.steps.length === 0 ? DEFAULT_STEPS : request.steps,
    negativeFlipBudget: request.negativeFlipBudget || 0.01,
    minimumSamples: request.minimumSamples || 100,
    stepSeconds: request.stepSeconds || 300,
    mirrorShare: request.mirrorShare ?? (isMirrored ? 0.1 : 0),
    mirrorPerSecond: request.mirrorPerSecond,
    disagreementLimit: request.disagreementLimit || 0.2,
    errorLimit: request.errorLimit || 0.01,
    latencyTolerance: request.latencyTolerance || 0.5,
    level: request.level || 0.05,
  });
  const violations = faultsOf(plan);
  if (!isMirrored && plan.mirrorShare > 0)
    violations.push({ field: 'mirror_share', description: `0 for ${task}, which is not mirrored` });
  if (violations.length > 0)
    throw new ThalamusError(
      'REQUEST_INVALID',
      `The release is not valid: ${violations.map(({ field, description }) => `${field}: ${description}`).join('; ')}.`,
      { violations },
    );
  return plan;
}

function faultsOf(plan: releaseV1.ReleasePlan): FieldViolation[] {
  const faults: FieldViolation[] = [];
  const need = (isRight: boolean, field: string, description: string) => {
    if (!isRight) faults.push({ field, description });
  };
  const isInside = (value: number) => value > 0 && value < 1;
  need(plan.steps.length <= MAX_STEPS, 'steps', `at most ${MAX_STEPS}`);
  need(
    plan.steps.every((weight, at) => weight > (plan.steps[at - 1] ?? 0) && weight <= 1),
    'steps',
    'shares above 0 and at most 1, each larger than the one before',
  );
  for (const field of ['negativeFlipBudget', 'disagreementLimit', 'errorLimit', 'level'] as const)
    need(isInside(plan[field]), snake(field), 'above 0 and below 1');
  need(plan.mirrorShare >= 0 && plan.mirrorShare <= 1, 'mirror_share', 'between 0 and 1');
  need(isAmount(plan.mirrorPerSecond), 'mirror_per_second', '0 or more');
  need(isAmount(plan.latencyTolerance), 'latency_tolerance', '0 or more');
  need(plan.stepSeconds <= MAX_STEP_SECONDS, 'step_seconds', `at most ${MAX_STEP_SECONDS}, 30 days`);
  return faults;
}

function isAmount(value: number): boolean {
  return value >= 0 && Number.isFinite(value);
}

function snake(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
