import { ThalamusError } from '@thalamus/errors';
import type { z } from 'zod';
import { EXPERT_MANIFEST, expertManifestSchema, type ExpertManifest } from './expert-manifest.js';
import { ROUTER_MANIFEST, routerManifestSchema, type RouterManifest } from './router-manifest.js';

/** Largest manifest, bytes. */
export const MAX_MANIFEST_BYTES = 1024 * 1024;

/** File names of the two manifests. */
export type ManifestName = typeof EXPERT_MANIFEST | typeof ROUTER_MANIFEST;

/**
 * An expert manifest from the bytes of `expert.json`. BUNDLE_INVALID names every field that is wrong, missing or
 * unknown. `where` is shown in the message.
 */
export function parseExpertManifest(bytes: Uint8Array, where = EXPERT_MANIFEST): ExpertManifest {
  return validated(expertManifestSchema, manifestJson(bytes, where), where);
}

/** A router manifest from the bytes of `router.json`; the same errors as `parseExpertManifest`. */
export function parseRouterManifest(bytes: Uint8Array, where: string = ROUTER_MANIFEST): RouterManifest {
  return validated(routerManifestSchema, manifestJson(bytes, where), where);
}

/** Which manifest bytes are, told by the field that only router models have. BUNDLE_INVALID when they are no JSON. */
export function manifestNameOf(bytes: Uint8Array, where: string): ManifestName {
  const value = manifestJson(bytes, where);
  const isRouter = typeof value === 'object' && value !== null && 'candidates' in value;
  return isRouter ? ROUTER_MANIFEST : EXPERT_MANIFEST;
}

/** Bytes of a manifest file: two-space JSON with fields sorted, so that equal manifests have equal digests. */
export function encodeManifest(manifest: ExpertManifest | RouterManifest): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(sorted(manifest), null, 2)}\n`);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]),
  );
}

function manifestJson(bytes: Uint8Array, where: string): unknown {
  if (bytes.byteLength > MAX_MANIFEST_BYTES) {
    throw invalid(where, [{ field: '', description: `is larger than ${MAX_MANIFEST_BYTES} bytes` }]);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'unreadable';
    throw invalid(where, [{ field: '', description: `is not JSON in UTF-8: ${reason}` }], cause);
  }
}

function validated<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalid(
    where,
    result.error.issues.flatMap((issue) => {
      const path = issue.path.map(String);
      if (issue.code === 'unrecognized_keys') {
        return issue.keys.map((key) => ({
          field: [...path, key].join('.'),
          description: 'is not a known field',
        }));
      }
      return [{ field: path.join('.'), description: issue.message }];
    }),
  );
}

function invalid(
  where: string,
  violations: readonly { field: string; description: string }[],
  cause?: unknown,
): ThalamusError {
  const shown = violations.slice(0, 8).map(({ field, description }) => `${field} ${description}`.trim());
  const more = violations.length > shown.length ? `; and ${violations.length - shown.length} more` : '';
  return new ThalamusError(
    'BUNDLE_INVALID',
    `${where} is not a valid manifest: ${shown.join('; ')}${more}. Correct the manifest and write the bundle again.`,
    { violations, cause },
  );
}
