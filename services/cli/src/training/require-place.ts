import { ThalamusError } from '@thalamus/errors';
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Before rows are measured for minutes: that their predictions can be written. @throws CONFIG_INVALID */
export function requirePlaceFor(predictions: string | undefined): void {
  if (predictions === undefined) return;
  const refuse = (why: string): never => {
    throw new ThalamusError(
      'CONFIG_INVALID',
      `The predictions cannot be written to ${predictions}: ${why}. Name another file with --predictions.`,
    );
  };
  const isFolder = statSync(predictions, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (isFolder) refuse('it is a folder');
  const folder = dirname(predictions);
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    refuse(`${folder} is no folder that can be written to`);
  }
}
