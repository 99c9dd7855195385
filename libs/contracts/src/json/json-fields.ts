import { ThalamusError } from '@thalamus/errors';
import type { JsonObject } from './read-json.js';

/** A fault of one field. @param at path of the field, such as `inputs[0].shape` */
export function invalidField(at: string, description: string): ThalamusError {
  return new ThalamusError('REQUEST_INVALID', `The request is not valid. ${at}: ${description}.`, {
    violations: [{ field: at, description }],
  });
}

/** An object that has no other fields than those that are known. @throws REQUEST_INVALID naming the field */
export function objectOf(value: unknown, at: string, known: readonly string[] | 'any'): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidField(at === '' ? 'body' : at, 'must be an object');
  const unknown = known === 'any' ? undefined : Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw invalidField(`${at === '' ? '' : `${at}.`}${unknown.slice(0, 64)}`, 'is unknown');
  return value as JsonObject;
}

/** A list of at most `most` entries; absent: empty. @throws REQUEST_INVALID naming the field */
export function listOf(value: unknown, at: string, most: number): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidField(at, 'must be a list');
  if (value.length > most) throw invalidField(at, `has ${value.length} entries; at most ${most} are taken`);
  return value;
}

/** A text; absent: empty. @throws REQUEST_INVALID naming the field */
export function textOf(value: unknown, at: string): string {
  if (value === undefined) return '';
  if (typeof value !== 'string' || !value.isWellFormed()) throw invalidField(at, 'must be a text');
  return value;
}

/** True, false or, when absent, what is given for that. @throws REQUEST_INVALID naming the field */
export function flagOf(value: unknown, at: string, absent: boolean): boolean {
  if (value === undefined) return absent;
  if (typeof value !== 'boolean') throw invalidField(at, 'must be true or false');
  return value;
}
