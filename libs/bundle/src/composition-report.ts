import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';
import { bundleName, count, digestText, versionText } from './manifest-fields.js';

/** File of a composed expert's bundle that says what was measured while it was made; a bundle without it serves as well. */
export const COMPOSITION_REPORT = 'composition.json';
/** Largest `composition.json`, bytes. */
export const MAX_COMPOSITION_BYTES = 256 * 1024;
/**
 * What a composed manifest calls its main figures: rows of `evaluation` whose data set is the name of a parent, or `whole` for what
 * is about no single one.
 */
export const COMPOSITION_FIGURES = {
  whole: 'composition',
  /** Share of right answers when the router chooses. */
  accuracy: 'accuracy',
  /** Share of right answers of the parent alone on the same rows. */
  parentAccuracy: 'parent-accuracy',
  /** Mean loss of a hidden word piece when the router chooses, nats; of composed masked language models. */
  nats: 'masked-log-loss',
  /** The same of the parent alone on the same texts. */
  parentNats: 'parent-masked-log-loss',
  /** Share of the parents' rows that the router gives to their own parent. */
  routerAccuracy: 'router-accuracy',
} as const;
/** Most parents of a composition. */
export const MAX_COMPOSITION_PARENTS = 256;

const share = z.number().min(0).max(1);
/** Mean loss of a hidden word piece, nats. */
const nats = z.number().nonnegative();
/** Score over a parent's own, accuracy or exp(-nats): above 1 where the composition does better. */
const normalized = z.number().nonnegative();
const size = z.strictObject({
  /** Of the factors that the rank leaves. */
  bytes: count,
  /** Share of the exclusive vectors' energy (sum of squares) that the rank keeps. */
  energy: share,
});

const parent = z.strictObject({
  name: bundleName,
  version: versionText,
  digest: digestText,
  /** Rows, or hidden word pieces, that it was judged on; 0 where there were none, and then the figures below are null. */
  n: count,
  /** Share that the parent alone gets right; null for a masked language model. */
  parentAccuracy: share.nullable(),
  /** Share that the composition gets right; null for a masked language model. */
  accuracy: share.nullable(),
  /** Loss of the parent alone; only of masked language models. */
  parentNats: nats.nullable().optional(),
  /** Loss of the composition; only of masked language models. */
  nats: nats.nullable().optional(),
  /** `accuracy / parentAccuracy`, null too where the parent gets nothing right; `exp(parentNats - nats)` where those are there. */
  normalized: normalized.nullable(),
  /** Share of its rows that the router gives to it. */
  routedHere: share.nullable(),
});

const rank = size.extend({
  /** Share of the full rank that is kept. */
  fraction: z.number().gt(0).max(1),
});

const fields = z.strictObject({
  schemaVersion: z.literal(1),
  /** Merge method, by the name that recipes have for it. */
  method: z.string().min(1).max(64),
  /** `honest`: heads and weights chosen by the router, which is told nothing of the true task. */
  protocol: z.literal('honest'),
  parents: z.array(parent).min(1).max(MAX_COMPOSITION_PARENTS),
  /** Mean of the parents' `normalized`; null where no parent has one. */
  normalized: normalized.nullable(),
  /** Mean of the parents' `routedHere`; null where no parent has one. */
  routerAccuracy: share.nullable(),
  /** The same on the rows that the router's settings were chosen by; null where there were none. */
  routerValidationAccuracy: share.nullable(),
  /** Of the files of the bundle that were there before this one. */
  bytes: count,
  /** Of all parents' bundles with their base as dense float32 weights: what hosting them apart in full would take. */
  parentBytes: count,
  /** What ranks cost and keep, by rising fraction; empty for methods without ranks. */
  ranks: z.array(rank).max(64),
  /** What was chosen; null for methods without ranks. */
  chosen: size.nullable(),
  /** Largest weight of a parent below which an input counts as covered by none; null where it never abstains. */
  abstainBelow: z.number().nullable(),
});

type Fields = z.infer<typeof fields>;

const hasRepeats = (values: readonly string[]): boolean => new Set(values).size !== values.length;

type Issue = (path: (string | number)[], message: string) => void;

function checkParents({ parents }: Fields, issue: Issue): void {
  if (hasRepeats(parents.map(({ name, version }) => `${name}@${version}`)))
    issue(['parents'], 'hold the same version twice');
  for (const [at, own] of parents.entries())
    checkFigures(own, (field, message) => issue(['parents', at, field], message));
}

type ParentFields = Fields['parents'][number];

/** A parent is judged by its accuracy or by its loss: the figures of the composition and of the parent, null where there are none. */
function figuresOf({ accuracy, parentAccuracy, nats: loss, parentNats }: ParentFields) {
  const isMasked = loss !== undefined || parentNats !== undefined;
  return isMasked
    ? { isMasked, figures: [loss ?? null, parentNats ?? null], others: [accuracy, parentAccuracy] }
    : { isMasked, figures: [accuracy, parentAccuracy], others: [] };
}

function checkFigures(parent: ParentFields, issue: (field: string, message: string) => void): void {
  const { n, parentAccuracy, normalized: ratio, routedHere } = parent;
  const { isMasked, figures, others } = figuresOf(parent);
  if (others.some((figure) => figure !== null))
    issue('accuracy', 'must be null beside nats: a masked language model has no accuracy');
  if (n === 0 && [...figures, ratio, routedHere].some((figure) => figure !== null))
    issue('n', 'is 0, so that the figures must be null');
  if (n > 0 && figures.includes(null))
    issue(isMasked ? 'nats' : 'accuracy', `must be given, and that of the parent too, for ${n} rows`);
  const hasRatio = isMasked ? n > 0 : (parentAccuracy ?? 0) > 0;
  if ((ratio !== null) !== hasRatio)
    issue('normalized', 'must be given where nats are, or where parentAccuracy is above 0, and only there');
}

/** Schema of `composition.json`: figures alone, no text of a prompt. Strict and bounded. */
export const compositionReportSchema = fields.superRefine((value, context) => {
  const issue = (path: (string | number)[], message: string) =>
    context.addIssue({ code: 'custom', path, message });
  checkParents(value, issue);
  const fractions = value.ranks.map(({ fraction }) => fraction);
  if (fractions.some((fraction, at) => at > 0 && fraction <= (fractions[at - 1] ?? 0)))
    issue(['ranks'], 'must stand by rising fraction');
});

/** Contents of `composition.json`. */
export type CompositionReport = z.infer<typeof compositionReportSchema>;

/** Reads a report. @throws BUNDLE_INVALID that names the first fault; `where` is shown in the message */
export function parseCompositionReport(
  bytes: Uint8Array,
  where: string = COMPOSITION_REPORT,
): CompositionReport {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${where} ${reason}; compose the expert again with thalamus compose run.`,
      { cause },
    );
  };
  if (bytes.byteLength > MAX_COMPOSITION_BYTES) refuse(`is larger than ${MAX_COMPOSITION_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    refuse('is not JSON in UTF-8', cause);
  }
  const result = compositionReportSchema.safeParse(value);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  const unknown = first?.code === 'unrecognized_keys' ? ` (${first.keys.join(', ')})` : '';
  return refuse(`is wrong at ${first?.path.join('.') || 'its top'}: ${first?.message ?? ''}${unknown}`);
}

/** Bytes of a report. @throws BUNDLE_INVALID when it breaks its schema */
export function encodeCompositionReport(report: CompositionReport): Uint8Array {
  const bytes = new TextEncoder().encode(`${JSON.stringify(report)}\n`);
  parseCompositionReport(bytes);
  return bytes;
}
