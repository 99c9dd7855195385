import { digestOf, type Digest } from '@thalamus/bundle';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { lossScale } from '../loss-table.js';
import { expertName } from '../router/routing-table.js';
import { promptChunks, type TableExpert, type TableRun } from './table-run.js';
import type { TableCell } from './partial-table.js';

/** Facts of a table that the run does not tell. */
export interface TableFacts {
  readonly set: string;
  /** Of the prompts, as SPDX has it. */
  readonly licence: string;
  readonly origin: string;
}

/** What a table says of one expert. */
export interface ExpertSummary {
  readonly expert: string;
  readonly version: string;
  readonly digest: Digest;
  readonly flopsPerToken: number;
  /** Mean loss of the prompts with a result, nats; null without one. */
  readonly meanLoss: number | null;
  /** Prompts on which nobody lost less. */
  readonly best: number;
  /** Prompts without a result. */
  readonly missing: number;
}

/** A table that is ready to be written. */
export interface LossTableFile {
  /** Packed by gzip. */
  readonly bytes: Uint8Array;
  /** Of the unpacked table, as router models name it. */
  readonly digest: Digest;
  readonly experts: readonly ExpertSummary[];
  /** Mean of the least loss of each prompt, nats; null without results. */
  readonly oracle: number | null;
}

/** Decimals of a loss, and of that of one mask. */
const DECIMALS = { loss: 6, mask: 4 };

/**
 * The table of a run that is complete: a line with its facts, then a row for each prompt, in the order of the prompts. `maskLosses` has
 * the losses of each expert by mask. Equal results give equal bytes.
 */
export async function lossTableFile(
  run: TableRun<TableExpert>,
  cellOf: (expert: number, chunk: number) => TableCell | undefined,
  facts: TableFacts,
): Promise<LossTableFile> {
  const { experts, prompts } = run;
  const results = prompts.map(() => experts.map((): readonly (number | null)[] => [null]));
  promptChunks(prompts).forEach((chunk, at) => {
    experts.forEach((_, expert) => {
      const cell = cellOf(expert, at);
      chunk.forEach((prompt, row) => (results[prompt]![expert] = cell?.rows[row] ?? [null]));
    });
  });
  const losses = results.map((row) => row.map(([loss]) => loss ?? null));
  const lines = [JSON.stringify({ meta: metaOf(run, facts, losses) })];
  prompts.forEach(({ id, text, label, group, domain }, at) => {
    const masks = results[at]!.map((row) => row.slice(1).map((loss) => rounded(loss, DECIMALS.mask)));
    lines.push(
      JSON.stringify({
        id,
        task: domain,
        prompt: text,
        ...(label === undefined ? {} : { label }),
        ...(group === undefined ? {} : { doc: group }),
        losses: losses[at]!.map((loss) => rounded(loss, DECIMALS.loss)),
        ...(run.task === 'fill-mask' ? { maskLosses: masks } : {}),
      }),
    );
  });
  const text = new TextEncoder().encode(`${lines.join('\n')}\n`);
  const least = losses.map(leastOf);
  return {
    bytes: await promisify(gzip)(text, { level: 9 }),
    digest: digestOf(text),
    experts: experts.map(({ manifest, digest }, k) => ({
      expert: manifest.name,
      version: manifest.version,
      digest,
      flopsPerToken: manifest.flopsPerToken,
      meanLoss: meanOf(losses.map((row) => row[k]!)),
      best: losses.filter((row, at) => row[k] !== null && row[k] === least[at]).length,
      missing: losses.filter((row) => row[k] === null).length,
    })),
    oracle: meanOf(least),
  };
}

function metaOf(
  { task, experts, prompts, labelCount, masking }: TableRun<TableExpert>,
  { set, licence, origin }: TableFacts,
  losses: readonly (readonly (number | null)[])[],
) {
  return {
    set,
    task,
    lossUnit: 'nats',
    licence,
    origin,
    experts: experts.map(({ manifest, digest }) => ({
      expert: expertName(manifest.name),
      version: manifest.version,
      digest,
    })),
    flops_per_token: experts.map(({ manifest }) => manifest.flopsPerToken),
    ...(task === 'fill-mask'
      ? { masks: masking.masks, maskShare: masking.share, maxTokens: masking.maxTokens, seed: masking.seed }
      : { labelCount, clip: lossScale(labelCount).clip }),
    missing: experts.map((_, k) => losses.filter((row) => row[k] === null).length),
    n: prompts.length,
  };
}

const rounded = (loss: number | null, decimals: number) =>
  loss === null ? null : Number(loss.toFixed(decimals));

function leastOf(row: readonly (number | null)[]): number | null {
  const present = row.filter((loss) => loss !== null);
  return present.length === 0 ? null : Math.min(...present);
}

function meanOf(losses: readonly (number | null)[]): number | null {
  const present = losses.filter((loss) => loss !== null);
  return present.length === 0 ? null : present.reduce((sum, loss) => sum + loss, 0) / present.length;
}
