import { ThalamusError } from '@thalamus/errors';
import { duplicateKey } from './duplicate-key.js';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

type Integers = 'exact' | 'rounded';

/** An object of a JSON text: its fields by name. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The JSON object that a body holds, whatever its fields.
 * @param integers `exact`: whole numbers beyond 2^53 come as bigint, as they stand there; else rounded, as JSON.parse does
 * @throws REQUEST_INVALID for a body that is empty, not UTF-8, not JSON, no object, or gives a field twice; the body is never quoted
 */
export function readJsonObject(body: Uint8Array, integers: Integers = 'rounded'): JsonObject {
  let text: string;
  try {
    text = UTF8.decode(body);
  } catch {
    throw new ThalamusError('REQUEST_INVALID', 'The body is not UTF-8; send JSON encoded in UTF-8.');
  }
  if (text === '') throw new ThalamusError('REQUEST_INVALID', 'The body is empty; send a JSON object.');
  const value = parse(text, integers);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ThalamusError('REQUEST_INVALID', 'The body is JSON, but not an object; send a JSON object.');
  const twice = duplicateKey(text);
  if (twice !== undefined) {
    const field = twice.slice(0, 64);
    throw new ThalamusError('REQUEST_INVALID', `The request is not valid. ${field}: is given twice.`, {
      violations: [{ field, description: 'is given twice' }],
    });
  }
  return value as JsonObject;
}

/** Whole numbers that JSON.parse might round: 16 digits or more behind what can stand before a number. */
const LONG_INTEGER = /[[,:\s-]\d{16,}(?![\d.eE])/;

function parse(text: string, integers: Integers): unknown {
  try {
    return integers === 'exact' && LONG_INTEGER.test(text)
      ? JSON.parse(text, exactIntegers)
      : JSON.parse(text);
  } catch (fault) {
    // V8 quotes the input in its message; only the position may be told.
    const position = /position (\d+)/.exec((fault as Error).message)?.[1];
    const where = position === undefined ? '' : ` at character ${position}`;
    throw new ThalamusError('REQUEST_INVALID', `The body is not JSON: it breaks off or goes wrong${where}.`);
  }
}

function exactIntegers(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }) {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? '';
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** ES2026; Node has it, the type library of TypeScript does not yet. */
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };

const MINUS_ZERO = rawJSON('-0');

/** A JSON text; a bigint stands in it as the whole number that it is, and minus zero with its sign. */
export function writeJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner === 'bigint') return rawJSON(inner.toString());
    return Object.is(inner, -0) ? MINUS_ZERO : inner;
  });
}
