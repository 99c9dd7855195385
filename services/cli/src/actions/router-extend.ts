import { openRouterBundle, writeRouterBundle } from '@thalamus/bundle';
import { extendRouter, readRoutingTable, type ExtendedRouter } from '@thalamus/training';
import { resolve } from 'node:path';
import { onInterrupt } from '../interruption.js';
import { createOutput } from '../output.js';
import { keptVectors } from '../router/kept-vectors.js';
import { nameOf, requireAbsent } from '../router/new-folder.js';
import { stageView } from '../router/stage-view.js';
import { localTools, openLocalBase } from '../training/local-tools.js';

/** Options of `router extend`. */
export interface ExtendRouterOptions {
  readonly router: string;
  readonly table: string;
  readonly expert: string;
  readonly out: string;
  readonly prompts?: number;
  readonly seed: number;
  readonly name?: string;
  readonly base?: string;
  readonly vectors?: string;
  readonly threads?: number;
  readonly json: boolean;
}

/**
 * Adds an expert to the router model of a folder and writes the result to a new one, which appears whole or not at all.
 * @throws BUNDLE_INVALID, DATASET_INVALID, CONFIG_INVALID, ARTIFACT_STORE_FULL
 */
export async function extendRouterLocal(options: ExtendRouterOptions): Promise<void> {
  const out = resolve(options.out);
  const bundle = await openRouterBundle(options.router);
  const name = nameOf(options.name ?? bundle.manifest.name, out);
  requireAbsent(out);
  const table = await readRoutingTable(options.table);
  const tools = localTools(options.threads);
  const view = await stageView(options.json);
  try {
    const base = await openLocalBase(options.base, tools);
    const texts = table.rows.map(({ prompt }) => prompt);
    const embed = keptVectors(options.vectors, base, texts);
    const extended = await extendRouter(
      {
        ...options,
        bundle,
        base,
        table,
        name,
        version: nextVersion(bundle.manifest.version),
        date: new Date().toISOString().slice(0, 10),
      },
      { onProgress: (done, total) => view.step('embedding', done, total), ...(embed ? { embed } : {}) },
    );
    const release = onInterrupt(() => undefined);
    const { digest } = await writeRouterBundle(out, extended.manifest, extended.files).finally(release);
    view.end();
    report(options, extended, { out, digest });
  } finally {
    view.end();
    await tools.runtime.close();
  }
}

/** The next whole number; another kind of version is kept. */
function nextVersion(version: string): string {
  return /^\d+$/.test(version) ? String(Number(version) + 1) : version;
}

function report(
  { json, out: given }: ExtendRouterOptions,
  { manifest, expert, rows, setAside, fitted }: ExtendedRouter,
  { out, digest }: { readonly out: string; readonly digest: string },
): void {
  const { interval, meanError, meanErrorOfMean } = fitted;
  const router = `${manifest.name}@${manifest.version}`;
  const candidates = manifest.candidates.length;
  const answer = {
    router,
    folder: out,
    digest,
    expert,
    candidates,
    rows,
    setAside,
    meanError,
    meanErrorOfMean,
    interval,
  };
  createOutput(json).answer(answer, () => [
    `${out}: ${router}, with ${expert}, ${candidates} candidates; its head was fitted on ${rows} prompts (${setAside} are set aside).`,
    `Predictions of prompts that the head had not seen miss by ${meanError.toFixed(4)} on average; its mean loss alone by ${meanErrorOfMean.toFixed(4)}.`,
    '',
    `  npx thalamus route "your prompt" --router ${given}`,
  ]);
}
