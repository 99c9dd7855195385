import { z } from 'zod';
import type { Pooling } from '../expert-manifest.js';
import { refusedFile } from '../low-rank-format.js';
import { readJson, type ImportFolder } from './import-folder.js';

/** What sentence-transformers does with the states of tokens. */
export interface SentenceModules {
  readonly pooling: Pooling;
  /** Whether vectors are divided by their length. */
  readonly isNormalised: boolean;
}

/** List of the steps of a sentence-transformers model. */
export const SENTENCE_MODULES = 'modules.json';

const modules = z.array(z.looseObject({ path: z.string(), type: z.string() })).min(1);
const pooling = z.looseObject({ pooling_mode: z.union([z.string(), z.array(z.string())]).optional() });

/** Ways of pooling under the names of sentence-transformers: flags of its older files, values of its newer ones. */
const MODES: Readonly<Record<string, Pooling>> = {
  pooling_mode_mean_tokens: 'mean',
  mean: 'mean',
  pooling_mode_cls_token: 'cls',
  cls: 'cls',
};

/**
 * The steps after the encoder of a sentence-transformers model; undefined for a folder without `modules.json`.
 * @throws BUNDLE_INVALID for steps and poolings that are not served
 */
export async function readSentenceModules(folder: ImportFolder): Promise<SentenceModules | undefined> {
  const value = await readJson(folder, SENTENCE_MODULES);
  if (value === undefined) return undefined;
  const parsed = modules.safeParse(value);
  if (!parsed.success)
    throw refusedFile(folder.path, SENTENCE_MODULES, '', 'is not a list of modules with path and type');
  const found: { pooling?: Pooling; isNormalised: boolean } = { isNormalised: false };
  for (const { path, type } of parsed.data) {
    const name = type.slice(type.lastIndexOf('.') + 1);
    if (name === 'Pooling') found.pooling = await readPooling(folder, `${path}/config.json`);
    else if (name === 'Normalize') found.isNormalised = true;
    else if (name !== 'Transformer')
      throw refusedFile(
        folder.path,
        SENTENCE_MODULES,
        type,
        'is a step that is not served: Transformer, Pooling (mean, cls) and Normalize are',
      );
  }
  return { pooling: found.pooling ?? 'mean', isNormalised: found.isNormalised };
}

async function readPooling(folder: ImportFolder, file: string): Promise<Pooling> {
  const refuse = (description: string) => refusedFile(folder.path, file, '', description);
  const value = await readJson(folder, file);
  if (value === undefined) throw refuse(`is missing, though ${SENTENCE_MODULES} names it`);
  const parsed = pooling.safeParse(value);
  if (!parsed.success) throw refuse('is no configuration of a pooling');
  const { pooling_mode: mode, ...rest } = parsed.data;
  const flags = Object.keys(rest).filter((name) => name.startsWith('pooling_mode_') && rest[name] === true);
  const given = mode === undefined ? flags : [mode].flat();
  const [first] = given;
  const known = first === undefined ? undefined : MODES[first];
  if (known === undefined || given.length > 1)
    throw refuse(`pools by ${given.join(' and ') || 'nothing'}; served are mean and cls, one of them`);
  return known;
}
