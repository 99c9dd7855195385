import { ThalamusError } from '@thalamus/errors';
import { lstatSync } from 'node:fs';
import { basename, dirname, sep } from 'node:path';
import { makeFolder } from '../exclusive-file.js';

/** @throws CONFIG_INVALID when something is there already, or its parent cannot be made */
export function requireAbsent(out: string, flag = '--out'): void {
  if (lstatSync(out, { throwIfNoEntry: false }))
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${out} is there already; name a new ${flag === '--out' ? 'folder' : 'file'} with ${flag}, or remove it.`,
    );
  try {
    makeFolder(dirname(out));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${dirname(out)} cannot be made (${code}); name another folder with ${flag}.`,
    );
  }
}

/** @throws CONFIG_INVALID where a file that is written beside a new folder is that folder, lies in it, or would hold it */
export function requireApart(out: string, file: string, flag: string): void {
  const isWithin = (inner: string, outer: string) => inner === outer || inner.startsWith(`${outer}${sep}`);
  if (!isWithin(file, out) && !isWithin(out, file)) return;
  throw new ThalamusError(
    'CONFIG_INVALID',
    `${flag} ${file} and --out ${out} lie in each other; name a file beside the folder.`,
  );
}

/** Name of a router model: as given, else that of its folder. @throws CONFIG_INVALID for what is no name */
export function nameOf(name: string | undefined, out: string): string {
  const given = name ?? basename(out).toLowerCase().replaceAll('_', '-');
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(given)) return given;
  throw new ThalamusError(
    'CONFIG_INVALID',
    `"${given}" is no name of a router model; give --name with lower-case letters, digits and hyphens.`,
  );
}
