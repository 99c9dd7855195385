import type { ReportedFigures, RouterReport } from '@thalamus/compatibility';
import { cell, plain } from '../shown-text.js';
import { table } from '../output.js';

/** Slices that a view shows at most; the JSON answer has all. */
const SHOWN_SLICES = 20;
const SIGNS = { compatible: '✅', incompatible: '❌', inconclusive: '❔' } as const;
const HEAD = ['prompts', 'n', 'changed', 'loss', 'loss more by (95 %)', 'right', 'NFR (95 %)', 'PFR'];

/** A comparison of router models for people at a terminal. */
export function reportLines(report: RouterReport): string[] {
  const { flipped, gate } = report;
  return [
    `${report.verdict}: ${titleOf(report)}.`,
    ...table(gate.rules.map(({ status, rule, sentence }) => [`  ${status}`, rule, sentence])),
    ...(gate.pending.length === 0 ? [] : [`  not about router models: ${gate.pending.join(', ')}`]),
    ...report.notes.map((note) => `note: ${note}`),
    '',
    ...table([HEAD, ...rowsOf(report)]),
    ...hidden(report),
    '',
    ...facts(report),
    ...(flipped.length === 0 ? [] : ['', 'flipped prompts:']),
    ...table(
      flipped.map(({ id, negative, best, choiceBefore, choiceAfter }) => [
        negative ? '  lost' : '  won',
        plain(id),
        `best ${plain(best)}`,
        `was ${plain(choiceBefore)}`,
        `is ${plain(choiceAfter)}`,
      ]),
    ),
  ];
}

/** The same as Markdown, fit for a comment of a pull request. */
export function reportMarkdown(report: RouterReport): string[] {
  const { verdict, gate, flipped } = report;
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  const head = (cells: readonly string[]) => [line(cells), line(cells.map(() => '---'))];
  return [
    `### ${SIGNS[verdict]} Router model is ${verdict}`,
    '',
    `${cell(titleOf(report))}.`,
    ...report.notes.flatMap((note) => ['', `> ${cell(note)}`]),
    '',
    ...head(['rule', 'status', 'why']),
    ...gate.rules.map(({ rule, status, sentence }) => line([rule, status, sentence])),
    '',
    ...head(HEAD),
    ...rowsOf(report).map(line),
    ...hidden(report),
    '',
    ...facts(report).map((fact) => `- ${fact}`),
    ...(flipped.length === 0
      ? []
      : [
          '',
          `<details><summary>${flipped.length} flipped prompts</summary>`,
          '',
          ...head(['prompt', 'flip', 'best', 'before', 'after']),
          ...flipped.map(({ id, negative, best, choiceBefore, choiceAfter }) =>
            line([id, negative ? 'lost' : 'won', best, choiceBefore, choiceAfter]),
          ),
          '',
          '</details>',
        ]),
  ];
}

function titleOf({ before, after, n, table: { set, split }, gate }: RouterReport): string {
  const prompts = split === 'test' ? `${n} prompts that both set aside` : `all ${n} prompts`;
  return `${after.name}@${after.version} beside ${before.name}@${before.version} on ${prompts} of ${plain(set)}, by the gate ${plain(gate.gate)}`;
}

/** All prompts, then slices: where most good choices were given up first. */
function rowsOf({ slices, ...overall }: RouterReport): string[][] {
  const shown = [...slices].sort((a, b) => lowOf(b) - lowOf(a) || b.n - a.n).slice(0, SHOWN_SLICES);
  return [row('all', overall), ...shown.map((slice) => row(plain(slice.slice), slice))];
}

function lowOf({ intervals }: ReportedFigures): number {
  return intervals['nfr']?.low ?? 0;
}

function row(name: string, own: ReportedFigures): string[] {
  const { n, changedChoices, lossBefore, lossAfter, lossDifference, intervals } = own;
  return [
    name,
    String(n),
    percent(changedChoices),
    `${lossBefore.toFixed(4)} → ${lossAfter.toFixed(4)}`,
    `${signed(lossDifference)} (${ends(intervals['lossDifference'], signed)})`,
    `${percent(own.rightBefore)} → ${percent(own.rightAfter)}`,
    `${percent(own.nfr)} (${ends(intervals['nfr'], percent)})`,
    percent(own.pfr),
  ];
}

function hidden({ slices }: RouterReport): string[] {
  return slices.length > SHOWN_SLICES
    ? ['', `${slices.length - SHOWN_SLICES} more kinds of prompts; --json has them all.`]
    : [];
}

function facts(report: RouterReport): string[] {
  const { intervals, regretBefore, regretAfter, lossUnit, tolerance, worse, better } = report;
  const exact = (value: number) => value.toFixed(4);
  const regret = (value: number, name: string) => `${exact(value)} (${ends(intervals[name], exact)})`;
  const { leftOut } = report.table;
  return [
    `Regret, loss beyond the best expert of each prompt: ${regret(regretBefore, 'regretBefore')} before, ${regret(regretAfter, 'regretAfter')} after; losses are in "${lossUnit}".`,
    `A choice is right when it loses no more than the best one by ${tolerance}. ${percent(worse)} of the prompts lose more than before by more than that, ${percent(better)} less.`,
    ...(leftOut > 0 ? [`${leftOut} prompts are left out: there is no result of any expert to choose.`] : []),
  ];
}

function ends(
  interval: { readonly low: number; readonly high: number } | undefined,
  shown: (value: number) => string,
): string {
  return interval ? `${shown(interval.low)} to ${shown(interval.high)}` : '';
}

const percent = (value: number): string => `${(value * 100).toFixed(2)} %`;
const signed = (value: number): string => `${value >= 0 ? '+' : ''}${value.toFixed(4)}`;
