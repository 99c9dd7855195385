import { ThalamusError } from '@thalamus/errors';

/** @throws REQUEST_INVALID for an expert of another task */
export function needTask<T extends { readonly expert: string; readonly task: string }>(
  target: T,
  task: string,
): T {
  if (target.task === task) return target;
  throw new ThalamusError(
    'REQUEST_INVALID',
    `${target.expert} serves ${target.task}, not ${task}; GET /v1/models shows the task of each.`,
    { violations: [{ field: 'model', description: `must serve ${task}` }] },
  );
}
