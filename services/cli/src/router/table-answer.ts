import {
  MIN_USABLE_ROWS,
  type ExpertSummary,
  type LossTableFile,
  type TableExpert,
  type TableFacts,
  type TableRun,
} from '@thalamus/training';
import { basename } from 'node:path';
import { table as columns } from '../output.js';

/** Options of `router table`, wherever it is measured. */
export interface TableOptions {
  readonly experts: readonly string[];
  readonly prompts: string;
  readonly out: string;
  readonly masks: number;
  readonly seed: number;
  readonly set?: string;
  readonly licence: string;
  readonly origin: string;
  readonly json: boolean;
}

/** What a table says of its prompts. */
export function tableFacts({ set, prompts, licence, origin }: TableOptions): TableFacts {
  return { set: set ?? basename(prompts), licence, origin };
}

/** What a measurement has done. */
export interface MeasurementFacts {
  /** Absolute path of the table. */
  readonly path: string;
  /** Prompts times experts that were measured now; others were kept from before. */
  readonly measured: number;
  readonly seconds: number;
}

/** The answer of `router table`. */
export interface TableAnswer {
  readonly table: string;
  readonly digest: string;
  readonly task: string;
  readonly prompts: number;
  readonly experts: readonly ExpertSummary[];
  readonly oracle: number | null;
  readonly measured: number;
  readonly keptFromBefore: number;
  /** Sequences of tokens a second, a mask of a prompt being one; null where nothing was measured now. */
  readonly sequencesPerSecond: number | null;
  readonly notes: readonly string[];
}

/** What is said of a table that has been written. */
export function tableAnswer(
  { task, prompts, experts, masking }: TableRun<TableExpert>,
  { digest, experts: summaries, oracle }: LossTableFile,
  { path, measured, seconds }: MeasurementFacts,
): TableAnswer {
  const missing = summaries.reduce((sum, item) => sum + item.missing, 0);
  const perPrompt = task === 'fill-mask' ? masking.masks : 1;
  return {
    table: path,
    digest,
    task,
    prompts: prompts.length,
    experts: summaries,
    oracle,
    measured,
    keptFromBefore: prompts.length * experts.length - measured,
    sequencesPerSecond:
      measured === 0 ? null : Number(((measured * perPrompt) / Math.max(1e-3, seconds)).toFixed(2)),
    notes: [
      ...(missing > 0 ? [`${missing} results are missing; they are null in the table.`] : []),
      ...(prompts.length < MIN_USABLE_ROWS
        ? [`A router is fitted on ${MIN_USABLE_ROWS} prompts or more; this table has ${prompts.length}.`]
        : []),
    ],
  };
}

/** The same for people. */
export function tableLines(answer: TableAnswer, out: string): string[] {
  const nats = (value: number | null) => (value === null ? '-' : value.toFixed(4));
  const { experts, prompts, measured, keptFromBefore, sequencesPerSecond } = answer;
  return [
    `${answer.table}: ${prompts} prompts, ${experts.length} experts for ${answer.task}, nats.`,
    '',
    ...columns([
      ['expert', 'mean loss', 'best on', 'missing'],
      ...experts.map(({ expert, version, meanLoss, best, missing }) => [
        `${expert}@${version}`,
        nats(meanLoss),
        String(best),
        String(missing),
      ]),
      ['the best of each prompt', nats(answer.oracle), '', ''],
    ]),
    '',
    ...(keptFromBefore > 0
      ? [`${keptFromBefore} results were kept from before, ${measured} measured now.`]
      : []),
    ...(sequencesPerSecond === null ? [] : [`${sequencesPerSecond} sequences a second.`]),
    ...answer.notes,
    '',
    `  npx thalamus router train --table ${out} --out /tmp/router --task ${answer.task}`,
  ];
}
