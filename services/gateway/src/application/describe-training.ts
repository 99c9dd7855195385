import { MAX_MANIFEST_BYTES, parseDigest, parseExpertManifest, readArtifact } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { z } from 'zod';
import type { RequestScope } from '../domain/caller.js';
import type { AskUpdater } from './admin/ask-updater.js';
import type { ListExperts } from './list-experts.js';

/** A loss, in nats, after a number of steps. */
export interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

/** How a version was trained: the losses of its log. */
export interface TrainingCurve {
  readonly training: readonly LossPoint[];
  readonly validation: readonly LossPoint[];
}

/** File of a bundle that holds the log: a JSON object for each step and each validation, without times. */
const LOG_FILE = 'training.jsonl';
const MAX_LOG_BYTES = 4 * 1024 * 1024;

const line = z.union([
  z.object({ kind: z.literal('step'), step: z.number(), loss: z.number() }),
  z.object({
    kind: z.literal('validation'),
    step: z.number(),
    figures: z.object({ logLoss: z.number() }),
  }),
]);

/** Reads how a version was trained from its bundle. */
export class DescribeTraining {
  constructor(
    private readonly list: ListExperts,
    private readonly view: RegistryView,
    private readonly updater: AskUpdater,
  ) {}

  /**
   * The losses of a version's training; none where its bundle holds no log, as those of probes and remote models.
   * @throws EXPERT_NOT_FOUND for what the caller may not use; ARTIFACT_CORRUPT, BUNDLE_INVALID for a damaged bundle
   */
  async run(name: string, version: string, scope: RequestScope): Promise<TrainingCurve> {
    const isUsable = this.list.run(scope.caller).some(({ expert }) => expert.name === name);
    const found = isUsable ? this.view.version(name, version) : undefined;
    if (!found)
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `There is no ${name}@${version}; GET /admin/v1/experts lists the versions that there are.`,
      );
    return this.updater.run(scope, async ({ artifacts }) => {
      const manifest = parseExpertManifest(
        await readArtifact(artifacts, parseDigest(found.manifestDigest), MAX_MANIFEST_BYTES),
      );
      const file = manifest.files.find(({ path }) => path === LOG_FILE);
      if (!file) return { training: [], validation: [] };
      const bytes = await readArtifact(artifacts, parseDigest(`sha256:${file.sha256}`), MAX_LOG_BYTES);
      return curveOf(new TextDecoder().decode(bytes), `${name}@${version}`);
    });
  }
}

function curveOf(log: string, which: string): TrainingCurve {
  const rows = log
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => {
      const row = line.safeParse(jsonOf(text));
      if (row.success) return row.data;
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `${LOG_FILE} of ${which} has a line that is neither a step nor a validation; train the version again.`,
      );
    });
  return {
    training: rows.flatMap((row) => (row.kind === 'step' ? [{ step: row.step, loss: row.loss }] : [])),
    validation: rows.flatMap((row) =>
      row.kind === 'validation' ? [{ step: row.step, loss: row.figures.logLoss }] : [],
    ),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
