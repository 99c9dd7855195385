import { progressBar, type ProgressBar } from '../progress-bar.js';

/** Shows how far a composition is: a bar on a terminal, a line for each step that is done in a pipe, nothing with --json. */
export function compositionProgress(json: boolean): Promise<ProgressBar> {
  return json || process.stderr.isTTY ? progressBar(json) : Promise.resolve(plainLines());
}

function plainLines(): ProgressBar {
  let last = '';
  return {
    step: ({ stage, done, total }) => {
      if (stage === last || Number(total) === 0 || Number(done) < Number(total)) return;
      last = stage;
      process.stderr.write(`${stage}: ${done}/${total}\n`);
    },
    end: () => undefined,
  };
}
