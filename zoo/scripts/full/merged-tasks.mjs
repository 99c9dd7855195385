// The ten sets whose experts are merged, and where their full fine-tunes are kept.
import { join } from 'node:path';
import { TASKS } from '../tasks.mjs';

const CACHE = 'node_modules/.cache/thalamus/full-fine-tunes';

/** Text and weights of it are not shipped: its authors stated no licence. */
const SMS_SPAM = {
  set: 'sms_spam',
  expert: 'sms-spam',
  licence: 'NOASSERTION',
  origin: 'SMS Spam Collection',
  description: 'Short messages, spam or not.',
};

/** clinc150 is left out: it has the texts of clinc10_domain. */
export const MERGED_TASKS = [...TASKS.filter(({ set }) => set !== 'clinc150'), SMS_SPAM];

/** Folder of the bundle of a set's full fine-tune. */
export function fullFineTune(set, seed) {
  return join(CACHE, String(seed), set);
}
