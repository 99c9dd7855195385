import { digestOf, type Digest, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { MEASURED_TASKS, type MeasuredPrompt, type MeasuredTask } from './measured-prompts.js';

/** An expert that is measured. */
export type MeasuredBundle = OpenedBundle<ExpertManifest>;

/** What a table says of an expert: whoever joins what others have measured needs no more of it. */
export interface TableExpert {
  readonly manifest: ExpertManifest;
  readonly digest: Digest;
  /** Where it was found, for messages: a folder, or name@version. */
  readonly folder: string;
}

/** How masked language models are measured: disjoint masks of single word pieces, a function of text and seed alone. */
export interface MaskSettings {
  /** Masks of each prompt. */
  readonly masks: number;
  /** Share of the word pieces that one mask hides. */
  readonly share: number;
  /** Tokens of a prompt that are read, the special ones included. */
  readonly maxTokens: number;
  readonly seed: number;
}

/** Experts, prompts and how they are measured: what decides a table. */
export interface TableRun<Expert extends TableExpert = MeasuredBundle> {
  readonly task: MeasuredTask;
  readonly experts: readonly Expert[];
  readonly prompts: readonly MeasuredPrompt[];
  /** Largest number of labels of an expert; 0 for fill-mask. */
  readonly labelCount: number;
  readonly masking: MaskSettings;
}

/** Share of the word pieces that a mask hides (Devlin et al. 2018, section 3.1). */
export const MASK_SHARE = 0.15;
/** Most disjoint masks of that share. */
export const MAX_MASKS = Math.floor(1 / MASK_SHARE);
/** Tokens of a prompt that masked language models read. */
export const MASKED_PROMPT_TOKENS = 128;
/** Fewest experts of a table: among fewer nothing is chosen. */
export const MIN_TABLE_EXPERTS = 2;
/** Prompts that are measured between two writes. */
export const CHUNK_PROMPTS = 32;

/** Version of the way of measuring: another one gives other figures. */
const MEASURE_VERSION = 1;

/**
 * The task that all experts share.
 * @throws CONFIG_INVALID for fewer than two or for two of one name; METHOD_UNSUPPORTED for another task, for several tasks and for what
 *   does not answer here
 */
export function sharedTask(experts: readonly TableExpert[]): MeasuredTask {
  if (experts.length < MIN_TABLE_EXPERTS)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `A table compares experts: name ${MIN_TABLE_EXPERTS} or more with --experts, not ${experts.length}.`,
    );
  const folderOf = new Map<string, string>();
  for (const { manifest, folder } of experts) {
    const other = folderOf.get(manifest.name);
    if (other !== undefined)
      throw new ThalamusError(
        'CONFIG_INVALID',
        `${other} and ${folder} are both called ${manifest.name}; a table has one column for a name.`,
      );
    folderOf.set(manifest.name, folder);
    requireMeasured(manifest);
  }
  const [{ manifest: first }] = experts as [TableExpert];
  const odd = experts.find(({ manifest }) => manifest.task !== first.task);
  if (odd)
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      `${first.name} is for ${first.task}, ${odd.manifest.name} for ${odd.manifest.task}: losses of two tasks do not compare. Make a table for each.`,
    );
  return first.task as MeasuredTask;
}

function requireMeasured({ name, kind, task, problemType }: ExpertManifest): void {
  const refuse = (why: string): never => {
    throw new ThalamusError('METHOD_UNSUPPORTED', `${name} ${why}; take it out of --experts.`);
  };
  if (!MEASURED_TASKS.some((measured) => measured === task))
    refuse(`is for ${task}, but losses are measured of experts for ${MEASURED_TASKS.join(' and ')}`);
  if (kind === 'upstream') refuse('is a remote model, which gives no probabilities');
  if (problemType === 'multi_label_classification')
    refuse('may give a text several labels, which rows with one label cannot judge');
}

/** Digest of everything that decides the figures: what one run has measured, another of the same digest can go on from. */
export function runDigest({ task, experts, prompts, labelCount, masking }: TableRun<TableExpert>): Digest {
  const how = task === 'fill-mask' ? masking : labelCount;
  const rows = prompts.map(({ id, text, label, group, domain }) => [id, text, label, group, domain]);
  return digestOf(
    JSON.stringify([MEASURE_VERSION, task, how, CHUNK_PROMPTS, experts.map(({ digest }) => digest), rows]),
  );
}

/**
 * Prompts by chunk, as their numbers: those of like length together, so that little is spent on padding. A function of the prompts alone.
 */
export function promptChunks(prompts: readonly MeasuredPrompt[]): number[][] {
  const order = Array.from(prompts.keys()).sort((a, b) => prompts[a]!.text.length - prompts[b]!.text.length);
  const chunks: number[][] = [];
  for (let from = 0; from < order.length; from += CHUNK_PROMPTS)
    chunks.push(order.slice(from, from + CHUNK_PROMPTS));
  return chunks;
}
