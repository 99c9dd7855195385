// The shipped base, opened to train over it.
import { Tokenizer } from '@thalamus/inference';
import { openTrainingBase } from '@thalamus/training';
import { join } from 'node:path';

/** `zoo` is the folder of the zoo. */
export function openZooBase(runtime, threads, zoo = 'zoo') {
  return openTrainingBase(join(zoo, 'base/minilm-l6'), {
    runtime,
    threads,
    readTokenizer: (json) => Tokenizer.parse(json),
  });
}
