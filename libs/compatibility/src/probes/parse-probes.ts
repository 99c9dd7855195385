import { ThalamusError } from '@thalamus/errors';

/** A labelled item that both versions of a release are asked. */
export interface Probe {
  /** Once in a file. */
  readonly id: string;
  /** What is asked. */
  readonly text: string;
  /** The right label. */
  readonly label: string;
}

/** Most items of a file. */
export const MAX_PROBES = 10_000;
/** Largest file of probes, bytes. */
export const MAX_PROBE_BYTES = 16 * 2 ** 20;
/** Longest id and label, UTF-16 units. */
const MAX_NAME = 256;
/** Longest text, UTF-16 units. */
const MAX_TEXT = 65_536;
const FIELDS = ['id', 'text', 'label'] as const;
const KNOWN: ReadonlySet<string> = new Set(FIELDS);

/**
 * Reads a file of labelled probes, as `parseProbes` does its text.
 * @throws REQUEST_TOO_LARGE, DATASET_INVALID that names the file
 */
export function probesIn(bytes: Uint8Array, file: string): Probe[] {
  if (bytes.byteLength > MAX_PROBE_BYTES)
    throw new ThalamusError(
      'REQUEST_TOO_LARGE',
      `${file} is larger than ${MAX_PROBE_BYTES / 2 ** 20} MiB; give fewer probes, or shorter ones.`,
    );
  let content: string;
  try {
    content = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ThalamusError('DATASET_INVALID', `${file} is not UTF-8; save it as UTF-8.`);
  }
  return parseProbes(content, file);
}

/**
 * Reads labelled probes: JSONL rows {id, text, label}, all of them texts, split on `\n` only. What is wrong is told by line, never by what
 * stands in it, for texts are nobody's to see.
 * @throws DATASET_INVALID that names file and line: no JSON object, missing, unknown, empty or too long fields, an id that comes twice, no
 * rows, too many
 */
export function parseProbes(content: string, file: string): Probe[] {
  const probes: Probe[] = [];
  const lines = new Map<string, number>();
  content.split('\n').forEach((line, index) => {
    const own = index === 0 ? line.replace(/^\uFEFF/, '') : line;
    if (own.trim() === '') return;
    const fail = (what: string) => new ThalamusError('DATASET_INVALID', `${file}, line ${index + 1} ${what}`);
    if (probes.length === MAX_PROBES) throw fail(`is one too many; there may be ${MAX_PROBES} probes.`);
    const probe = probeOf(own, fail);
    const before = lines.get(probe.id);
    if (before !== undefined) throw fail(`has the id of line ${before}; each item has one of its own.`);
    lines.set(probe.id, index + 1);
    probes.push(probe);
  });
  if (probes.length > 0) return probes;
  throw new ThalamusError('DATASET_INVALID', `${file} holds no probes; give rows {"id", "text", "label"}.`);
}

function probeOf(line: string, fail: (what: string) => ThalamusError): Probe {
  const value = objectIn(line);
  if (!value) throw fail('is no JSON object; give {"id", "text", "label"}.');
  if (Object.keys(value).some((key) => !KNOWN.has(key)))
    throw fail(`has a field beside ${FIELDS.join(', ')}; leave it away.`);
  for (const field of FIELDS) {
    const text = value[field];
    const most = field === 'text' ? MAX_TEXT : MAX_NAME;
    if (typeof text !== 'string' || text.trim() === '') throw fail(`needs "${field}" as a text.`);
    if (text.length > most) throw fail(`has a "${field}" of ${text.length} characters; at most ${most}.`);
  }
  return value as unknown as Probe;
}

function objectIn(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}
