import {
  readClassifierHead,
  readMaskedLmHead,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import { FillMaskExpert, maskOf } from './fill-mask-expert.js';
import { baseFiller } from './mask-fillers.js';
import type { ResidentBase } from './resident-base.js';
import type { ServedExpert } from './served-expert.js';
import { ClassifierExpert, type DeltaPlace } from './text-experts.js';

/** Tasks of experts that stand on a base. */
const DELTA_TASKS: readonly string[] = ['text-classification', 'fill-mask'];

export const isDeltaTask = (task: string): boolean => DELTA_TASKS.includes(task);

/**
 * Reads the head of an expert over a base; the function that it resolves with adds it under an id, and gives its bytes.
 * @throws BUNDLE_INVALID
 */
export async function addHead(
  bundle: OpenedBundle<ExpertManifest>,
  base: ResidentBase,
): Promise<(id: string) => Promise<number>> {
  if (bundle.manifest.task === 'fill-mask') {
    maskOf(bundle.manifest.name, base.tokenizer);
    const sizes = await base.maskedHeads.sizes();
    const readHead = () => readMaskedLmHead(bundle, sizes);
    await readHead();
    return (id) => base.maskedHeads.add(id, readHead);
  }
  const readHead = () => readClassifierHead(bundle, base.width);
  const sizes = sizesOf(await readHead());
  return async (id) => {
    await base.heads.add(id, sizes.labels, readHead);
    return sizes.numbers * Float32Array.BYTES_PER_ELEMENT;
  };
}

/** Its numbers alone: `readHead` stays for a crash, and with it all that closures beside it use. */
function sizesOf({ weights, bias }: { readonly weights: Float32Array; readonly bias: Float32Array }) {
  return { labels: bias.length, numbers: weights.length + bias.length };
}

/** The expert, once its head and its adapter are in their places. */
export function deltaExpert(manifest: ExpertManifest, place: DeltaPlace, base: ResidentBase): ServedExpert {
  return manifest.task === 'fill-mask'
    ? new FillMaskExpert(manifest, baseFiller(manifest.name, place, base))
    : new ClassifierExpert(manifest, place, base);
}
