import type { AnsweredPrompt } from '@thalamus/compatibility';
import { digestOf } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { RoutingTable } from '../router/routing-table.js';
import { promptGroup } from './prompt-groups.js';

/** What losses are made of: 1 less than 1 for a right answer, or less its score. */
export type RerouteLoss = 'right' | 'score';

/** What a table says of the versions and of the prompts. */
export interface RerouteFacts {
  /** Names of the experts that both versions are registered as. */
  readonly old: string;
  readonly new: string;
  readonly loss: RerouteLoss;
  /** Of the prompts. */
  readonly licence: string;
  readonly origin: string;
}

/** A routing table over two versions, and its text, as a file of one holds it. */
export interface RerouteTable {
  readonly table: RoutingTable;
  readonly text: string;
}

/** Fewest prompts that differ: four fifths of them are as many as a router is fitted on, and some. */
export const MIN_REROUTE_PROMPTS = 100;

/**
 * The routing table of two versions: old, then new. Near-duplicates are one document.
 * @throws DATASET_INVALID for too few prompts, and where there is nothing to choose: a version that is never wrong, no negative flip
 */
export function rerouteTable(prompts: readonly AnsweredPrompt[], facts: RerouteFacts): RerouteTable {
  const groups = prompts.map(({ text }) => promptGroup(text));
  requireChoice(prompts, new Set(groups).size, facts);
  const set = `${facts.old} and ${facts.new}`;
  const models = [facts.old, facts.new];
  const scoreOf = ({ isRight, score = NaN }: AnsweredPrompt['before']) =>
    facts.loss === 'score' ? score : Number(isRight);
  const rows = prompts.map((prompt, at) => ({
    id: prompt.id,
    task: prompt.slices[0] ?? '',
    prompt: prompt.text,
    doc: groups[at]!,
    scores: [scoreOf(prompt.before), scoreOf(prompt.after)],
  }));
  const { licence, origin } = facts;
  const meta = { set, models, score_range: [0, 1], licence, origin, n: rows.length };
  const text = `${[{ meta }, ...rows].map((line) => JSON.stringify(line)).join('\n')}\n`;
  return {
    text,
    table: {
      digest: digestOf(new TextEncoder().encode(text)),
      set,
      licence,
      origin,
      unit: 'error',
      models: models.map((name) => ({ name, expert: name })),
      rows: rows.map(({ scores, ...row }) => ({
        ...row,
        losses: Float64Array.from(scores, (score) => 1 - score),
      })),
      skipped: 0,
      notes: [],
    },
  };
}

function requireChoice(prompts: readonly AnsweredPrompt[], different: number, facts: RerouteFacts): void {
  const refuse = (what: string) => new ThalamusError('DATASET_INVALID', what);
  if (different < MIN_REROUTE_PROMPTS)
    throw refuse(
      `Prompts that differ by more than signs and spaces: ${different}; ${MIN_REROUTE_PROMPTS} or more are needed. Ask both versions more of them.`,
    );
  if (prompts.every(({ after }) => after.isRight))
    throw refuse(`${facts.new} has every prompt right: there is nothing to repair, release it.`);
  if (prompts.every(({ before }) => before.isRight))
    throw refuse(
      `${facts.old} has every prompt right, so nothing is learned about when the new version is better: keep the old one, or judge both on prompts that the old one gets wrong, too.`,
    );
  if (!prompts.some(({ before, after }) => before.isRight && !after.isRight))
    throw refuse(
      `No prompt that ${facts.old} has right is wrong of ${facts.new}: there is nothing to repair, release it.`,
    );
}
