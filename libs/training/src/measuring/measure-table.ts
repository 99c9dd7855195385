import { ThalamusError } from '@thalamus/errors';
import { requireMask } from '../methods/text-windows.js';
import type { BaseTools } from '../methods/open-training-base.js';
import type { TrainingBase } from '../training-base.port.js';
import { openLabelledMeasure } from './measure-labelled.js';
import { openMaskedMeasure } from './measure-masked.js';
import type { MeasuredExpert, PromptLoss } from './measured-expert.js';
import type { PartialTable } from './partial-table.js';
import { promptChunks, type MeasuredBundle, type TableRun } from './table-run.js';

/** What experts are opened with. */
export interface MeasuringTools extends BaseTools {
  /** The base that the experts stand on; classifiers that stand alone need none. */
  readonly base?: TrainingBase | undefined;
}

/** How a measurement is watched and ended. */
export interface MeasuringHooks {
  /** Ends the run after the chunk that is measured. */
  readonly signal?: AbortSignal;
  /** Prompts times experts that are done. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Whether this run measures a chunk; all when absent. */
  readonly isOwn?: (chunk: number) => boolean;
}

/** How a measurement ended. */
export interface MeasuredTable {
  readonly kind: 'finished' | 'interrupted';
  /** Prompts times experts that this run has measured; the rest was there. */
  readonly measured: number;
}

/**
 * Measures every expert on every prompt: one expert after the other, chunk by chunk, each kept before the next one. What is kept already
 * is not measured again, and the figures are those of a run that was never interrupted: chunks do not depend on where it began.
 * @throws BUNDLE_INVALID, GRAPH_INVALID, METHOD_UNSUPPORTED for an expert that cannot be opened; ARTIFACT_STORE_FULL
 */
export async function measureTable(
  run: TableRun,
  tools: MeasuringTools,
  kept: PartialTable,
  hooks: MeasuringHooks = {},
): Promise<MeasuredTable> {
  const own = promptChunks(run.prompts)
    .map((prompts, chunk) => ({ prompts, chunk }))
    .filter(({ chunk }) => hooks.isOwn?.(chunk) ?? true);
  const perExpert = own.reduce((sum, { prompts }) => sum + prompts.length, 0);
  const total = perExpert * run.experts.length;
  const known = run.experts.flatMap((_, expert) => own.filter(({ chunk }) => kept.has(expert, chunk)));
  let done = known.reduce((sum, { prompts }) => sum + prompts.length, 0);
  let measured = 0;
  hooks.onProgress?.(done, total);
  for (const [expert, bundle] of run.experts.entries()) {
    const open = own.filter(({ chunk }) => !kept.has(expert, chunk));
    if (open.length === 0) continue;
    if (hooks.signal?.aborted) return { kind: 'interrupted', measured };
    const opened = await openExpert(bundle, run, tools);
    try {
      for (const { prompts, chunk } of open) {
        const losses = await opened.measure(prompts.map((at) => run.prompts[at]!));
        kept.append({ expert, chunk, rows: losses.map(rowOf) });
        done += prompts.length;
        measured += prompts.length;
        hooks.onProgress?.(done, total);
        if (hooks.signal?.aborted && done < total) return { kind: 'interrupted', measured };
      }
    } finally {
      await opened.release();
    }
  }
  return { kind: 'finished', measured };
}

const rowOf = ({ loss, masks = [] }: PromptLoss) => [loss, ...masks];

async function openExpert(
  bundle: MeasuredBundle,
  { task, labelCount, masking }: TableRun,
  tools: MeasuringTools,
): Promise<MeasuredExpert> {
  if (task === 'text-classification') return openLabelledMeasure(bundle, tools, labelCount);
  const { base } = tools;
  if (!base)
    throw new ThalamusError('INTERNAL', `No base was given to measure ${bundle.manifest.name} with.`);
  return openMaskedMeasure(bundle, { base, vocabulary: requireMask(base), masking });
}

/**
 * Whether all experts can be opened over a base, as far as their manifests tell.
 * @throws BUNDLE_INVALID for an expert over another base; METHOD_UNSUPPORTED for a kind that is not measured
 */
export function requireOneBase(experts: readonly MeasuredBundle[], { manifest, digest }: TrainingBase): void {
  for (const { manifest: expert } of experts) {
    const { base } = expert;
    if (expert.task === 'fill-mask' && expert.kind !== 'full' && expert.kind !== 'lowrank')
      throw new ThalamusError(
        'METHOD_UNSUPPORTED',
        `${expert.name} is ${expert.kind} for fill-mask, which is not measured; take it out of --experts.`,
      );
    if (base && base.digest !== digest)
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `${expert.name} stands on ${base.name} ${base.digest}, but the base given is ${manifest.name} ${digest}; name the folder of its base with --base, and make a table for each base.`,
      );
  }
}
