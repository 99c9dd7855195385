import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { openTrainingBase, type BaseTools, type TrainingBase } from '@thalamus/training';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { zooFolder } from '../mesh/zoo-index.js';

/** What opens models in this process, and ends with it. */
export interface LocalTools extends BaseTools {
  readonly runtime: OrtRuntime;
}

/** Tools with a runtime of their own: close it. */
export function localTools(threads: number | undefined): LocalTools {
  return {
    runtime: new OrtRuntime(),
    readTokenizer: (json) => Tokenizer.parse(json),
    threads: threads ?? Math.min(4, availableParallelism()),
  };
}

/** Opens a base from its folder; default: the one that the repository ships. @throws BUNDLE_INVALID, GRAPH_INVALID */
export function openLocalBase(folder: string | undefined, tools: BaseTools): Promise<TrainingBase> {
  return openTrainingBase(folder ?? join(zooFolder(), 'base', 'minilm-l6'), tools);
}
