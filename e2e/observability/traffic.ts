import { join } from 'node:path';
import type { LaunchedMesh, Mesh } from '../support/mesh.js';
import { ROOT } from '../support/paths.js';
import { post, postTo } from './post.js';
import { makeBadReleases, REMOTE } from './release-traffic.js';
import { startThalamus, thalamus, type RunningCommand } from '../support/run-command.js';

const PROMPTS = [
  'I lost my card, please block it',
  'Add this song to my workout playlist',
  'The party of the first part shall indemnify the other',
];
/** A prompt that the replay upstream has an answer for. */
const RECORDED = 'If 6 potatoes makes 36 hash browns, how many hash browns can you make out of 96 potatoes?';
/** An expert of the zoo and rows that it can be measured on. */
const EXPERT = 'snips7';
const ROWS = join(ROOT, 'zoo/data/sample/snips7.test.csv');
const TRAINING_ROWS = join(ROOT, 'zoo/data/sample/snips7.train.csv');
/** Experts that are made one: on few rows, for what is looked at is that it is counted. */
const PARENTS = ['overruling', 'snips7'];
const BETWEEN_ROUNDS_MS = 200;
/** An expert that nobody else asks here: it comes and goes. Between two loads, so that each scrape sees some. */
const LOADED_ANEW = 'scicite3';
const BETWEEN_LOADS_MS = 1_000;

/** Asks a mesh what callers ask, right and wrong, until it is stopped. */
export interface Traffic {
  /** Ends it. @throws Error when a right request failed */
  stop(): Promise<void>;
}

/** Starts the traffic. */
export function startTraffic(mesh: LaunchedMesh): Traffic {
  let stopped = false;
  const isStopped = () => stopped;
  let training: RunningCommand | undefined;
  let hasRemote = false;
  const ask = async () => {
    while (!isStopped()) {
      for (const input of PROMPTS) {
        const answered = await post(mesh, '/v1/classifications', { model: 'auto', input }, 200);
        const given = { request_id: answered.headers.get('x-request-id'), score: 0.9 };
        await post(mesh, '/v1/feedback', given, 202);
        await post(mesh, '/v1/route', { input }, 200);
      }
      const messages = [{ role: 'user', content: RECORDED }];
      await post(mesh, '/v1/chat/completions', { model: 'auto', messages }, 200);
      if (hasRemote) await post(mesh, '/v1/chat/completions', { model: REMOTE, messages }, 200);
      await post(mesh, '/v1/classifications', { model: 'no-such-expert', input: 'x' }, 404);
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_ROUNDS_MS));
    }
  };
  // Jobs too: one that ends, since panels compare what ended between two scrapes, then one that trains for a while.
  const work = async () => {
    while (!isStopped()) {
      await measure(mesh);
      await measure(mesh);
      if (isStopped()) return;
      training = startTraining(mesh);
      const { exit, stderr } = await training.ended;
      if (exit !== 0 && !isStopped()) throw new Error(`the training ended with ${exit}: ${stderr}`);
    }
  };
  // The gateway loads nothing for callers: hosts are asked themselves, at their own address.
  const load = async () => {
    const repository = `http://${mesh.httpOf('expert-host')}/v2/repository/models/${LOADED_ANEW}`;
    while (!isStopped()) {
      for (const verb of ['unload', 'load']) await postTo(`${repository}/${verb}`, {}, 200);
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOADS_MS));
    }
  };
  // A composition that is made, then one that a request names, which begins to be made.
  const compose = async () => {
    await tryComposition(mesh);
    const model = `compose:${PARENTS.join('+')}`;
    if (!isStopped()) await post(mesh, '/v1/classifications', { model, input: 'play some jazz' }, 200);
  };
  // Bad updates of an expert and of an upstream, each taken back and tried again.
  const release = async () => {
    const bad = await makeBadReleases(mesh);
    hasRemote = true;
    await Promise.all(bad.map((own) => own.run(isStopped)));
  };
  const running = Promise.all([ask(), work(), load(), compose(), release()]);
  running.catch(() => undefined);
  return {
    stop: async () => {
      stopped = true;
      training?.child.kill('SIGINT');
      await running;
    },
  };
}

/** Low-rank branches on small batches: many steps, each short. */
function startTraining(mesh: Mesh): RunningCommand {
  const settings = ['--method', 'lora', '--keep-method', '--rank', '4', '--batch', '8', '--max-tokens', '16'];
  return startThalamus(
    [
      ...['experts', 'train', '--name', 'tuned', '--data', TRAINING_ROWS, '--channel', 'none', ...settings],
      ...['--epochs', '50', '--patience', '100', '--mesh', mesh.dataFolder, '--json'],
    ],
    { timeoutMs: 240_000 },
  );
}

async function tryComposition(mesh: Mesh): Promise<void> {
  const { exit, stderr } = await thalamus(
    [
      ...[
        'compose',
        'run',
        ...PARENTS,
        '--method',
        'switch',
        '--parameter',
        'rows_per_parent=20',
        '--dry-run',
      ],
      ...['--mesh', mesh.dataFolder, '--json'],
    ],
    { timeoutMs: 240_000 },
  );
  if (exit !== 0) throw new Error(`the composition ended with ${exit}: ${stderr}`);
}

async function measure(mesh: Mesh): Promise<void> {
  const { exit, stderr } = await thalamus([
    ...['experts', 'evaluate', EXPERT, '--data', ROWS, '--mesh', mesh.dataFolder, '--json'],
  ]);
  if (exit !== 0) throw new Error(`the evaluation ended with ${exit}: ${stderr}`);
}
