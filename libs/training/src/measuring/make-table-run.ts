import { ThalamusError } from '@thalamus/errors';
import { readMeasuredPrompts, type MeasuredPrompt } from './measured-prompts.js';
import {
  MASKED_PROMPT_TOKENS,
  MASK_SHARE,
  sharedTask,
  type MaskSettings,
  type TableExpert,
  type TableRun,
} from './table-run.js';

/** A file of prompts. */
export interface PromptFile {
  readonly bytes: Uint8Array;
  /** What messages call it. */
  readonly file: string;
}

/**
 * The run of experts on the prompts of a file, checked as far as manifests and prompts tell.
 * @throws CONFIG_INVALID, METHOD_UNSUPPORTED as `sharedTask`; DATASET_INVALID as `readMeasuredPrompts`, and when no prompt has a label
 *   that an expert knows: then the table compares nothing
 */
export function makeTableRun<Expert extends TableExpert>(
  experts: readonly Expert[],
  { bytes, file }: PromptFile,
  { masks, seed }: Pick<MaskSettings, 'masks' | 'seed'>,
): TableRun<Expert> {
  const task = sharedTask(experts);
  const prompts = readMeasuredPrompts(bytes, file, task);
  const labels = experts.map(({ manifest }) => manifest.labels ?? []);
  if (task === 'text-classification') requireKnownLabels(prompts, new Set(labels.flat()), file);
  return {
    task,
    experts,
    prompts,
    labelCount: Math.max(0, ...labels.map(({ length }) => length)),
    masking: { masks, share: MASK_SHARE, maxTokens: MASKED_PROMPT_TOKENS, seed },
  };
}

function requireKnownLabels(
  prompts: readonly MeasuredPrompt[],
  known: ReadonlySet<string>,
  file: string,
): void {
  if (prompts.some(({ label }) => known.has(label ?? ''))) return;
  throw new ThalamusError(
    'DATASET_INVALID',
    `${file}: no prompt has one of the ${known.size} labels that the experts know; are these the experts for these prompts?`,
  );
}
