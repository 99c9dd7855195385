import { join } from 'node:path';
import type { Mesh } from '../support/mesh.js';
import { ROOT } from '../support/paths.js';
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
const BETWEEN_ROUNDS_MS = 200;

/** Asks a mesh what callers ask, right and wrong, until it is stopped. */
export interface Traffic {
  /** Ends it. @throws Error when a right request failed */
  stop(): Promise<void>;
}

/** Starts the traffic. */
export function startTraffic(mesh: Mesh): Traffic {
  let stopped = false;
  const isStopped = () => stopped;
  let training: RunningCommand | undefined;
  const ask = async () => {
    while (!isStopped()) {
      for (const input of PROMPTS) {
        await post(mesh, '/v1/classifications', { model: 'auto', input }, 200);
        await post(mesh, '/v1/route', { input }, 200);
      }
      const messages = [{ role: 'user', content: RECORDED }];
      await post(mesh, '/v1/chat/completions', { model: 'auto', messages }, 200);
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
  const running = Promise.all([ask(), work()]);
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

async function measure(mesh: Mesh): Promise<void> {
  const { exit, stderr } = await thalamus([
    ...['experts', 'evaluate', EXPERT, '--data', ROWS, '--mesh', mesh.dataFolder, '--json'],
  ]);
  if (exit !== 0) throw new Error(`the evaluation ended with ${exit}: ${stderr}`);
}

async function post(mesh: Mesh, path: string, body: unknown, wanted: number): Promise<void> {
  const response = await fetch(`${mesh.http}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${mesh.key}` },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (response.status !== wanted) throw new Error(`${path} answered ${response.status}: ${text}`);
}
