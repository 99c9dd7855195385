import { ThalamusError } from '@thalamus/errors';
import { existsSync, readFileSync } from 'node:fs';

/** Options of `experts import`. */
export interface ImportOptions {
  readonly json: boolean;
  readonly out: string;
  readonly name?: string;
  /** Decimal string. */
  readonly expertVersion: string;
  readonly base?: string;
  /** Labels with commas between them, or a file with one on each line. */
  readonly labels?: string;
  readonly head?: string;
  readonly graph?: string;
  readonly pooling?: string;
  readonly maxTokens?: number;
  readonly description?: string;
  readonly licence?: string;
  readonly origin: string;
}

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The name that was given, else one made of what the folder suggests. @throws CONFIG_INVALID */
export function nameOf(given: string | undefined, suggested: string): string {
  const name =
    given ??
    suggested
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 63);
  if (NAME.test(name)) return name;
  throw usage(`"${name}" is no name of an expert; give --name with lower-case letters, digits and hyphens.`);
}

/** Labels as they were given. @throws CONFIG_INVALID */
export function labelsOf(given: string): readonly string[] {
  const listed = existsSync(given) ? linesOf(given) : given.split(',');
  const labels = listed.map((label) => label.trim());
  const empty = labels.indexOf('');
  if (empty >= 0) throw usage(`--labels: label ${empty + 1} is empty; name one for each row of the head.`);
  return labels;
}

/** Refuses options that mean something for another form alone. @throws CONFIG_INVALID */
export function onlyFor(form: string, options: Readonly<Record<string, unknown>>): void {
  const [given] = Object.entries(options).filter(([, value]) => value !== undefined);
  if (given) throw usage(`--${given[0]} belongs to ${form}, which this folder is not.`);
}

/** Today as a date of release. */
export function today(): string {
  return new Date().toISOString().slice(0, 10);
}

export function usage(message: string): ThalamusError {
  return new ThalamusError('CONFIG_INVALID', message);
}

function linesOf(file: string): string[] {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
    return text.replace(/\r?\n$/, '').split(/\r?\n/);
  } catch {
    throw usage(`--labels: ${file} is no readable text in UTF-8; give a file with one label on each line.`);
  }
}
