/** Hugging Face pipeline names that the mesh serves. */
export const TASKS = ['fill-mask', 'text-classification', 'feature-extraction', 'text-generation'] as const;

/** One of the tasks. */
export type Task = (typeof TASKS)[number];

/** True for a task of the list. */
export function isTask(value: string): value is Task {
  return (TASKS as readonly string[]).includes(value);
}
