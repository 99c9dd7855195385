import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import { isMap, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { gateSchema, type GateDocument } from './gate-document.js';

const MAX_LENGTH = 256 * 1024;
/** Most aliases that are followed: what stops a document of nested ones. */
const MAX_ALIASES = 100;

/**
 * Reads a gate document, YAML or JSON.
 * @throws CONFIG_INVALID that names the file and, for every fault, line and field
 */
export function parseGate(text: string, file: string): GateDocument {
  if (text.length > MAX_LENGTH)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${file} has ${text.length} characters; a gate has at most ${MAX_LENGTH}.`,
    );
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = [...document.errors, ...document.warnings].map(({ message, pos }) => ({
    field: 'gate',
    description: `(line ${lines.linePos(pos[0]).line}) is no YAML: ${message}`,
  }));
  if (broken.length > 0) throw refused(file, broken);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    throw refused(file, [{ field: 'gate', description: 'has too many aliases' }], cause);
  }
  if (value === null || value === undefined)
    throw refused(file, [
      { field: 'gate', description: 'is empty; "thalamus release gate show" prints one' },
    ]);
  const result = gateSchema.safeParse(value);
  if (result.success) return result.data;
  throw refused(
    file,
    result.error.issues.flatMap((issue) => faultsOf(issue, document, lines)),
  );
}

function faultsOf(issue: z.core.$ZodIssue, document: Document.Parsed, lines: LineCounter): FieldViolation[] {
  const told = (path: readonly PropertyKey[], description: string): FieldViolation => ({
    field: path.map(String).join('.') || 'gate',
    description: `(line ${lineOf(path, document, lines)}) ${description}`,
  });
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => told([...issue.path, key], 'is not a known field'));
  return [told(issue.path, issue.message)];
}

/** Line of a field, or of the nearest thing around it that is written. */
function lineOf(path: readonly PropertyKey[], document: Document.Parsed, lines: LineCounter): number {
  for (let length = path.length; length > 0; length--) {
    const parent: unknown =
      length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => (isScalar(key) ? key.value : key) === last)
      : undefined;
    const node: unknown = pair?.key ?? document.getIn(path.slice(0, length), true);
    const start = rangeStart(node);
    if (start !== undefined) return lines.linePos(start).line;
  }
  return 1;
}

function rangeStart(node: unknown): number | undefined {
  const range = (node as { range?: readonly number[] | null } | null | undefined)?.range;
  return range?.[0];
}

function refused(file: string, violations: readonly FieldViolation[], cause?: unknown): ThalamusError {
  const list = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  return new ThalamusError('CONFIG_INVALID', `${file} is not a valid gate: ${list}.`, {
    violations: [...violations],
    ...(cause === undefined ? {} : { cause }),
  });
}
