import type { RouterStage } from '@thalamus/training';
import { progressBar } from '../progress-bar.js';

const WORDS: Readonly<Record<RouterStage, string>> = {
  embedding: 'embedding prompts',
  features: 'fitting features',
  choosing: 'choosing a learner',
  fitting: 'fitting the chosen one',
};

/** Shows stages: a bar on a terminal, a line for each new stage in a pipe, nothing with --json. */
export interface StageView {
  step(stage: RouterStage, done: number, total: number): void;
  end(): void;
}

/** A view on standard error. */
export async function stageView(json: boolean, target = process.stderr): Promise<StageView> {
  const bar = await progressBar(json);
  let before: RouterStage | undefined;
  let isOver = false;
  return {
    step: (stage, done, total) => {
      bar.step({ stage: WORDS[stage], done, total });
      if (stage !== before && !json && !target.isTTY) target.write(`${WORDS[stage]}\n`);
      before = stage;
    },
    end: () => {
      if (!isOver) bar.end();
      isOver = true;
    },
  };
}
