import { readWhole, type ImportFolder } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { parse } from 'yaml';
import { NO_LICENCE_STATED } from '../jobs/no-licence-stated.js';

/** The card of a model, as hubs show it. */
const CARD = 'README.md';
/** Largest card that is read, bytes. */
const MAX_CARD_BYTES = 4 * 2 ** 20;

/** SPDX identifiers by what hubs call the licence, where these differ in more than case (https://spdx.org/licenses). */
const SPDX: Readonly<Record<string, string>> = {
  'apache-2.0': 'Apache-2.0',
  mit: 'MIT',
  'bsd-2-clause': 'BSD-2-Clause',
  'bsd-3-clause': 'BSD-3-Clause',
  'cc0-1.0': 'CC0-1.0',
  'cc-by-4.0': 'CC-BY-4.0',
  'cc-by-sa-4.0': 'CC-BY-SA-4.0',
  'cc-by-nc-4.0': 'CC-BY-NC-4.0',
  'gpl-3.0': 'GPL-3.0-only',
  'lgpl-3.0': 'LGPL-3.0-only',
  'agpl-3.0': 'AGPL-3.0-only',
  'mpl-2.0': 'MPL-2.0',
  unlicense: 'Unlicense',
};

/**
 * The licence that the front matter of a model's card names, as SPDX: what is not in its list becomes a LicenseRef, so that policies can
 * tell it apart. NOASSERTION without a card or a licence.
 * @throws BUNDLE_INVALID for front matter that is no YAML
 */
export async function licenceOfCard(folder: ImportFolder): Promise<string> {
  if (!folder.files.has(CARD)) return NO_LICENCE_STATED;
  const text = new TextDecoder().decode(await readWhole(folder, CARD, '', MAX_CARD_BYTES));
  const front = /^---\r?\n([^]*?)\r?\n---(?:\r?\n|$)/.exec(text)?.[1];
  if (front === undefined) return NO_LICENCE_STATED;
  const licence = frontMatter(folder, front)['license'];
  if (typeof licence !== 'string' || licence === '') return NO_LICENCE_STATED;
  return SPDX[licence.toLowerCase()] ?? `LicenseRef-${licence.replace(/[^A-Za-z0-9.-]/g, '-')}`;
}

function frontMatter(folder: ImportFolder, text: string): Readonly<Record<string, unknown>> {
  try {
    // No aliases: a few lines of them can stand for gigabytes.
    const value: unknown = parse(text, { maxAliasCount: 0 });
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch (cause) {
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${folder.path}: the front matter of ${CARD} is no YAML; correct it, or give --licence.`,
      { cause },
    );
  }
}
