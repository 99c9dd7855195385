import { digestOf } from '@thalamus/bundle';
import { createRandom } from '@thalamus/tensor';
import { mkdtemp, open, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainingBatches } from '../data/token-batches.js';
import { readCheckpoint, writeCheckpoint, type OpenFile } from './checkpoint-file.js';
import { trainLoop, type LoopSettings, type TrainingEvent, type TrainingTask } from './train-loop.js';
import { TrainingState } from './training-state.js';

const SETTINGS: LoopSettings = {
  epochs: 4,
  rate: 0.05,
  schedule: 'cosine',
  warmUpShare: 0.1,
  accumulate: 1,
  clipNorm: 1,
  patience: 100,
  validationsPerEpoch: 2,
};
const WIDTH = 5;

/** Linear regression on noisy rows of a known solution: gradients by hand. */
function regression(poison?: { readonly batch: number }): TrainingTask {
  const random = createRandom(7);
  const truth = Array.from({ length: WIDTH }, () => random.normal());
  const rows = Array.from({ length: 60 }, () => {
    const x = Array.from({ length: WIDTH }, () => random.normal());
    return { x, y: x.reduce((sum, value, k) => sum + value * truth[k]!, 0) + 0.01 * random.normal() };
  });
  const weights = { shape: [WIDTH], data: new Float32Array(WIDTH) };
  const bias = { shape: [1], data: new Float32Array(1) };
  const residual = (row: number) =>
    rows[row]!.x.reduce((sum, value, k) => sum + value * weights.data[k]!, bias.data[0]!) - rows[row]!.y;
  const lossOf = (chosen: readonly number[]) =>
    chosen.reduce((sum, row) => sum + residual(row) ** 2 / 2, 0) / chosen.length;
  let computed = 0;
  return {
    parameters: new Map([
      ['weights', weights],
      ['bias', bias],
    ]),
    groupOf: (name) => ({ rateFactor: name === 'bias' ? 2 : 1, decay: name === 'bias' ? 0 : 0.01 }),
    batchesOf: (epoch) =>
      trainingBatches(
        rows.map(() => 3),
        { tokensPerBatch: 24, rowsPerBatch: 8, seed: 5, epoch },
      ),
    computeBatch: (chosen) => {
      const w = new Float32Array(WIDTH);
      const b = new Float32Array(1);
      for (const row of chosen) {
        const r = residual(row) / chosen.length;
        for (let k = 0; k < WIDTH; k++) w[k]! += r * rows[row]!.x[k]!;
        b[0]! += r;
      }
      computed += 1;
      if (computed === poison?.batch) w[2] = NaN;
      return Promise.resolve({
        loss: lossOf(chosen),
        items: chosen.length,
        gradients: new Map([
          ['weights', w],
          ['bias', b],
        ]),
      });
    },
    tokensOf: () => 3,
    validate: () => {
      const loss = lossOf(rows.map((_, row) => row));
      return Promise.resolve({ score: [-loss], figures: { loss } });
    },
  };
}

const digest = (task: TrainingTask) =>
  digestOf(Buffer.concat([...task.parameters.values()].map(({ data }) => Buffer.from(data.buffer))));

describe('trainLoop', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loop-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('finds the solution, and twice the same bits', async () => {
    const [first, second] = [regression(), regression()];
    const { state } = await trainLoop(first, { ...SETTINGS, epochs: 40 });
    await trainLoop(second, { ...SETTINGS, epochs: 40 });
    expect(state.bestFigures['loss']).toBeLessThan(1e-3);
    expect(digest(first)).toBe(digest(second));
  });

  it.each([1, 3, 8, 9, 17, 31])(
    'resumed after step %i through the file ends with the bits of an uninterrupted run',
    async (stopAfter) => {
      const whole = regression();
      const events: TrainingEvent[] = [];
      const { state } = await trainLoop(whole, SETTINGS, { onEvent: (event) => events.push(event) });

      const path = join(folder, `state-${stopAfter}`);
      const before: TrainingEvent[] = [];
      const stop = new AbortController();
      const interrupted = await trainLoop(regression(), SETTINGS, {
        signal: stop.signal,
        onEvent: (event) => {
          before.push(event);
          if (event.kind === 'step' && event.step === stopAfter) stop.abort();
        },
        keep: (kept) => writeCheckpoint(path, kept.toCheckpoint('run')),
      });
      expect(interrupted.kind).toBe('interrupted');

      const task = regression();
      const resume = TrainingState.fromCheckpoint(readCheckpoint(path)!, 'run', task.parameters);
      const resumed = await trainLoop(task, SETTINGS, { resume, onEvent: (event) => before.push(event) });
      expect(digest(task)).toBe(digest(whole));
      expect(resumed.state.best).toEqual(state.best);
      expect(before).toEqual(events);
    },
  );

  it('does not resume the checkpoint of another run', async () => {
    const task = regression();
    const { state } = await trainLoop(task, SETTINGS);
    const content = state.toCheckpoint('one');
    expect(TrainingState.fromCheckpoint(content, 'other', task.parameters)).toBeUndefined();
    expect(() =>
      TrainingState.fromCheckpoint({ ...content, tensors: new Map() }, 'one', task.parameters),
    ).toThrow(/holds no value of weights/);
  });

  it('accumulates: batches of two halves are the step of the whole', async () => {
    const halves = regression();
    const single = regression();
    const batch = Array.from({ length: 16 }, (_, row) => row);
    const settings = { ...SETTINGS, epochs: 3 };
    await trainLoop(
      { ...halves, batchesOf: () => [batch.slice(0, 6), batch.slice(6)] },
      { ...settings, accumulate: 2 },
    );
    await trainLoop({ ...single, batchesOf: () => [batch] }, settings);
    halves.parameters.get('weights')!.data.forEach((value, k) => {
      expect(value).toBeCloseTo(single.parameters.get('weights')!.data[k]!, 6);
    });
  });

  it('stops early, and keeps the best parameters', async () => {
    const task = regression();
    const scores = [1, 3, 2, 2, 2];
    let at = 0;
    let best: Float32Array | undefined;
    const outcome = await trainLoop(
      {
        ...task,
        validate: () => {
          const score = scores[at++] ?? 0;
          if (score === 3) best = task.parameters.get('weights')!.data.slice();
          return Promise.resolve({ score: [score], figures: {} });
        },
      },
      { ...SETTINGS, patience: 2 },
    );
    expect(outcome.kind).toBe('stopped-early');
    expect(at).toBe(4);
    expect(outcome.state.best?.get('weights')).toEqual(best);
  });

  it('stops at a gradient that is not finite with step and tensor, the checkpoint before it kept', async () => {
    const path = join(folder, 'good');
    const task = regression({ batch: 11 });
    const run = trainLoop(task, SETTINGS, {
      checkpointDue: () => true,
      keep: (state) => writeCheckpoint(path, state.toCheckpoint('run')),
    });
    await expect(run).rejects.toMatchObject({
      code: 'TRAINING_DIVERGED',
      message: expect.stringMatching(
        /step 11: the gradient of weights is NaN.*checkpoint is kept, that of step 10/,
      ) as string,
    });
    const clean = regression();
    const resume = TrainingState.fromCheckpoint(readCheckpoint(path)!, 'run', clean.parameters);
    expect(resume?.optimiser.step).toBe(10);
    await trainLoop(clean, SETTINGS, { resume });
    const whole = regression();
    await trainLoop(whole, SETTINGS);
    expect(digest(clean)).toBe(digest(whole));
  });

  it('names a loss that is not finite, and a parameter that made it so', async () => {
    const task = regression();
    task.parameters.get('bias')!.data[0] = Infinity;
    await expect(trainLoop(task, SETTINGS)).rejects.toThrow(
      /step 1: the loss \(first tensor: parameter bias\) is (Infinity|NaN)\. No checkpoint was due before/,
    );
  });

  it('says that the disk is full, and leaves the earlier checkpoint and nothing half-written', async () => {
    const place = await mkdtemp(join(folder, 'full-'));
    const path = join(place, 'state');
    const task = regression();
    await trainLoop(
      task,
      { ...SETTINGS, epochs: 1 },
      {
        checkpointDue: () => true,
        keep: (state) => writeCheckpoint(path, state.toCheckpoint('run')),
      },
    );
    const before = await readFile(path);
    // A device that really has no space left.
    const full: OpenFile = () => open('/dev/full', 'w');
    const run = trainLoop(task, SETTINGS, {
      checkpointDue: () => true,
      keep: (state) => writeCheckpoint(path, state.toCheckpoint('run'), full),
    });
    await expect(run).rejects.toMatchObject({
      code: 'ARTIFACT_STORE_FULL',
      message: expect.stringMatching(/disk is full.*Free space and run the same command again/) as string,
    });
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(place)).toEqual(['state']);
  });
});
