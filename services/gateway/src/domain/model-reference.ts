import { ThalamusError } from '@thalamus/errors';
import { parseModelName, type Flag } from '@thalamus/routing';
import { isComposition, parseCompositionName, type ParentReference } from './composition-name.js';

/** What a caller named as the model. */
export type ModelReference =
  | { readonly kind: 'auto'; readonly flags: readonly Flag[] }
  | { readonly kind: 'expert'; readonly expert: string; readonly version: string | undefined }
  | { readonly kind: 'compose'; readonly parents: readonly ParentReference[] };

const EXPERT = /^([a-z0-9][a-z0-9-]{0,62})(?:@([1-9][0-9]{0,17}))?$/;

/** Parses `auto`, `auto:size=0.5`, `expert`, `expert@2` or `compose:a+b`. @throws EXPERT_NOT_FOUND, FLAG_INVALID, REQUEST_INVALID */
export function parseModelReference(text: string): ModelReference {
  if (isComposition(text)) return { kind: 'compose', parents: parseCompositionName(text) };
  const named = parseModelName(text);
  if (named.model === 'auto') return { kind: 'auto', flags: named.flags };
  const expert = EXPERT.exec(text);
  if (!expert)
    throw new ThalamusError(
      'EXPERT_NOT_FOUND',
      `"${text.slice(0, 80)}" is not a model: write auto, an expert, expert@version or compose:a+b.`,
      { violations: [{ field: 'model', description: 'auto, expert, expert@version or compose:a+b' }] },
    );
  return { kind: 'expert', expert: expert[1] ?? '', version: expert[2] };
}
