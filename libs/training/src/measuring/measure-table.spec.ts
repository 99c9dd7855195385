import { openBundle, type Digest } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { encodeModel, graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import { asFloat32, logSumExp, type Tensor } from '@thalamus/tensor';
import {
  PICO_CONFIG,
  picoId,
  writePicoBase,
  writePicoLowRank,
  writePicoMaskedLm,
  writePicoProbe,
  writePicoTextGraph,
} from '@thalamus/testing';
import { ThalamusError } from '@thalamus/errors';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskedLmGraph, TRAINING_VALUES } from '../graphs/encoder-graph.js';
import { foldedGraph } from '../methods/open-masked-lm.js';
import { openClassifier } from '../methods/open-classifier.js';
import { openTrainingBase } from '../methods/open-training-base.js';
import { readMaskedLmGraph } from '../graphs/encoder-graph.js';
import { readRoutingTable } from '../router/routing-table.js';
import type { GraphRuntime, TrainingBase } from '../training-base.port.js';
import { lossTableFile } from './loss-table-file.js';
import { readMeasuredPrompts, type MeasuredPrompt } from './measured-prompts.js';
import { measureTable, requireOneBase, type MeasuringHooks } from './measure-table.js';
import { PartialTable } from './partial-table.js';
import {
  CHUNK_PROMPTS,
  promptChunks,
  runDigest,
  sharedTask,
  type MeasuredBundle,
  type TableRun,
} from './table-run.js';

const WORDS = 'the card lost my law court hello world money please block it'.split(' ');
const LABELS = ['one', 'two', 'three', 'four', 'five', 'six'];
const masking = { masks: 4, share: 0.15, maxTokens: PICO_CONFIG.maxPositions, seed: 3 };
const facts = { set: 'made', licence: 'CC0-1.0', origin: 'this test' };
const text = (at: number) =>
  Array.from({ length: 3 + (at % 20) }, (_, place) => WORDS[(at * 7 + place * (1 + (at % 5))) % 12]).join(
    ' ',
  );

type Feeds = Readonly<Record<string, Tensor>>;

describe('a loss table', () => {
  const runtime = new OrtRuntime();
  let folder = '';
  let base: TrainingBase;
  const at = (name: string) => join(folder, name);
  const open = (...names: readonly string[]) => Promise.all(names.map((name) => openBundle(at(name))));
  const readTokenizer = (json: Uint8Array) => Tokenizer.parse(json);
  let places = 0;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loss-table-'));
    const { digest } = await writePicoBase(at('base'), { name: 'pico' });
    await writePicoBase(at('other'), { name: 'other', seed: 9 });
    base = await openTrainingBase(at('base'), { runtime, threads: 1, readTokenizer });
    const on = { name: 'pico', digest };
    for (const seed of [1, 2]) {
      await writePicoMaskedLm(at(`m${seed}`), { name: `m${seed}`, seed }, on, { rank: 2, alpha: 4 });
      await writePicoLowRank(at(`c${seed}`), { name: `c${seed}`, seed }, LABELS.slice(0, 3), on, {
        rank: 2,
        alpha: 4,
      });
    }
    await writePicoProbe(at('p'), { name: 'p', seed: 3 }, LABELS.slice(0, 5), on);
    const folded = await foldedGraph((await open('m1'))[0]!, base);
    const task = { task: 'fill-mask' } as const;
    await writePicoTextGraph(
      at('own'),
      { name: 'own' },
      task,
      own(folded, { kind: 'int8', blockSize: 16, isWhole: true }),
    );
    await writePicoTextGraph(at('exact'), { name: 'exact' }, task, own(folded, { kind: 'float32' }));
    await writePicoTextGraph(at('foreign'), { name: 'foreign' }, task, renamed(folded));
  });
  afterAll(async () => {
    await runtime.close();
    await rm(folder, { recursive: true, force: true });
  });

  const own = (folded: OnnxModel, storage: Parameters<typeof maskedLmGraph>[2]) => {
    const { config, weights } = readMaskedLmGraph(folded);
    return maskedLmGraph(config, weights, storage);
  };
  /** The same graph under names that nobody here gives. */
  const renamed = (model: OnnxModel): OnnxModel => {
    const graph = graphOf(model);
    const names = new Map(graph.initializer.map(({ name }, index) => [name, `constant_${index}`]));
    const other = (name: string) => names.get(name) ?? name;
    return {
      ...model,
      graph: {
        ...graph,
        initializer: graph.initializer.map((one) => ({ ...one, name: other(one.name) })),
        node: graph.node.map((node) => ({ ...node, input: node.input.map(other) })),
      },
    };
  };
  const prompts = (count: number, more: (at: number) => object = () => ({})): MeasuredPrompt[] => {
    const lines = Array.from({ length: count }, (_, at) => JSON.stringify({ text: text(at), ...more(at) }));
    const labelled = count > 0 && 'label' in more(0);
    return readMeasuredPrompts(
      new TextEncoder().encode(lines.join('\n')),
      'p.jsonl',
      labelled ? 'text-classification' : 'fill-mask',
    );
  };
  const measured = async (
    run: TableRun,
    hooks: MeasuringHooks = {},
    graphs: GraphRuntime = runtime,
    place = at(`T${++places}`),
  ) => {
    const kept = PartialTable.open(place, runDigest(run));
    const tools = { runtime: graphs, threads: 1, readTokenizer, base: { ...base, runtime: graphs } };
    const outcome = await measureTable(run, tools, kept, hooks);
    kept.close();
    const file = await lossTableFile(run, (expert, chunk) => kept.get(expert, chunk), facts);
    const [, ...rows] = gunzipSync(file.bytes).toString().trimEnd().split('\n');
    return { outcome, file, rows: rows.map((row) => JSON.parse(row) as Row), place };
  };
  interface Row {
    readonly losses: readonly (number | null)[];
    readonly maskLosses?: readonly (readonly (number | null)[])[];
  }
  const masked = (experts: readonly MeasuredBundle[], given: readonly MeasuredPrompt[]): TableRun => ({
    task: 'fill-mask',
    experts,
    prompts: given,
    labelCount: 0,
    masking,
  });
  const watched = (onRun: (feeds: Feeds) => void): GraphRuntime => ({
    load: async (source, options) => {
      const session = await runtime.load(source, options);
      return {
        run: (feeds, wanted) => {
          onRun(feeds);
          return session.run(feeds, wanted);
        },
        release: () => session.release(),
      };
    },
  });

  it('of masked language models has the mean cross-entropy of the hidden places, over disjoint masks', async () => {
    const given = prompts(3).slice(2);
    const seen: Feeds[] = [];
    const { rows } = await measured(
      masked(await open('m1', 'm2'), given),
      {},
      watched((feeds) => seen.push(feeds)),
    );
    const ids = (await base.tokens.encode([given[0]!.text], 32))[0]!.ids;
    const feeds = seen[0]!;
    const places = Array.from(feeds[TRAINING_VALUES.positions]!.data as BigInt64Array, Number);
    const columns = places.map((place) => place % ids.length);
    expect(new Set(columns).size).toBe(columns.length);
    expect(columns.length).toBe(4 * Math.max(1, Math.round(0.15 * (ids.length - 2))));
    places.forEach((place, index) => {
      expect(Number(feeds[TRAINING_VALUES.inputIds]!.data[place])).toBe(picoId('[MASK]'));
      expect(Number(feeds[TRAINING_VALUES.labels]!.data[index])).toBe(ids[columns[index]!]);
    });
    // Both experts are given the same.
    expect(seen[1]).toEqual(feeds);

    const session = await runtime.load({
      bytes: encodeModel(await foldedGraph((await open('m1'))[0]!, base)),
    });
    const { [TRAINING_VALUES.labels]: labels, ...inputs } = feeds;
    const { shape, data } = asFloat32((await session.run(inputs))['logits'], 'logits');
    await session.release();
    const nats = Array.from(labels!.data as BigInt64Array, (label, index) => {
      const scores = Float64Array.from(data.subarray(index * shape[1]!, (index + 1) * shape[1]!));
      return logSumExp(scores) - scores[Number(label)]!;
    });
    const perMask = columns.length / 4;
    const means = [0, 1, 2, 3].map(
      (mask) => nats.slice(mask * perMask, (mask + 1) * perMask).reduce((a, b) => a + b) / perMask,
    );
    expect(rows[0]!.losses[0]).toBeCloseTo(means.reduce((a, b) => a + b) / 4, 5);
    rows[0]!.maskLosses![0]!.forEach((loss, mask) => expect(loss).toBeCloseTo(means[mask]!, 3));
  });

  it('does not depend on who else is measured, or in which order and file', async () => {
    const given = prompts(40);
    const one = await measured(masked(await open('m1', 'm2'), given));
    const turned = await measured(masked(await open('m2', 'm1'), [...given].reverse()));
    one.rows.forEach(({ losses }, row) => {
      const other = turned.rows[given.length - 1 - row]!.losses;
      expect(other[1]).toBeCloseTo(losses[0]!, 4);
      expect(other[0]).toBeCloseTo(losses[1]!, 4);
    });
  });

  it('has the same figures of a graph of its own, stored or exported elsewhere', async () => {
    const { rows } = await measured(masked(await open('m1', 'exact', 'foreign', 'own'), prompts(12)));
    for (const { losses } of rows) {
      expect(losses[1]).toBeCloseTo(losses[0]!, 4);
      expect(losses[2]).toBeCloseTo(losses[0]!, 4);
      expect(Math.abs(losses[3]! - losses[0]!)).toBeLessThan(0.2);
    }
  });

  it('is the same to the bit when the run was interrupted, and what is kept is not measured again', async () => {
    const run = masked(await open('m1', 'm2'), prompts(3 * CHUNK_PROMPTS - 5));
    const whole = await measured(run);
    expect(whole.outcome).toEqual({ kind: 'finished', measured: 2 * run.prompts.length });
    const stop = new AbortController();
    const first = await measured(run, {
      signal: stop.signal,
      onProgress: (done) => {
        if (done > 4 * CHUNK_PROMPTS) stop.abort();
      },
    });
    expect(first.outcome.kind).toBe('interrupted');
    const told: number[] = [];
    const second = await measured(run, { onProgress: (done) => told.push(done) }, runtime, first.place);
    expect(told[0]).toBe(first.outcome.measured);
    expect(second.outcome).toEqual({
      kind: 'finished',
      measured: 2 * run.prompts.length - first.outcome.measured,
    });
    expect(Buffer.from(second.file.bytes)).toEqual(Buffer.from(whole.file.bytes));
    expect(second.file.digest).toBe(whole.file.digest);
  });

  it('is the same to the bit when several measure a part of the chunks each', async () => {
    const run = masked(await open('m1', 'm2'), prompts(3 * CHUNK_PROMPTS));
    const whole = await measured(run);
    for (const part of [0, 1])
      await measured(run, { isOwn: (chunk) => chunk % 2 === part }, runtime, at('parts'));
    const joined = await measured(run, {}, runtime, at('parts'));
    expect(joined.outcome.measured).toBe(0);
    expect(Buffer.from(joined.file.bytes)).toEqual(Buffer.from(whole.file.bytes));
  });

  it('has null for a prompt that an expert does not read whole, or on which it fails; others are not lost', async () => {
    const long = prompts(1, () => ({ text: 'money '.repeat(60) }));
    const given = [...prompts(10).map((prompt) => ({ ...prompt, id: `s${prompt.id}` })), ...long];
    const run = { ...masked(await open('m1', 'm2'), given), masking: { ...masking, maxTokens: 40 } };
    const bad = BigInt(picoId('court'));
    const failing: GraphRuntime = watched((feeds) => {
      if ((feeds[TRAINING_VALUES.labels]!.data as BigInt64Array).includes(bad))
        throw new ThalamusError('INFERENCE_FAILED', 'The model failed to run: of this test.');
    });
    const { rows, file } = await measured(run, {}, failing);
    const clean = await measured(run);
    const isBad = (at: number) => given[at]!.text.includes('court') && rows[at]!.losses[0] === null;
    expect(rows.at(-1)!.losses).toEqual([null, null]);
    expect(rows.filter((_, index) => isBad(index)).length).toBeGreaterThan(0);
    rows.forEach(({ losses }, index) => {
      if (losses[0] !== null) expect(losses[0]).toBeCloseTo(clean.rows[index]!.losses[0]!, 4);
    });
    expect(rows.filter(({ losses }) => losses[0] !== null).length).toBeGreaterThan(0);
    expect(file.experts[0]!.missing).toBe(rows.filter(({ losses }) => losses[0] === null).length);
    const fault = watched(() => {
      throw new ThalamusError('INTERNAL', 'of this test');
    });
    await expect(measured(run, {}, fault)).rejects.toThrow(/of this test/);
  });

  it('of classifiers has the clipped cross-entropy of the right label, and more where it is not known', async () => {
    const given = prompts(60, (at) => ({ label: LABELS[at % 6], domain: 'd', group: at >> 1 }));
    const run: TableRun = {
      task: 'text-classification',
      experts: await open('c1', 'c2', 'p'),
      prompts: given,
      labelCount: 5,
      masking,
    };
    const { rows, file } = await measured(run);
    const clip = Math.log(5);
    rows.forEach(({ losses, maskLosses }, at) => {
      losses.slice(0, 2).forEach((loss) => {
        if (at % 6 >= 3) expect(loss).toBeCloseTo(clip + 1, 5);
        else expect(loss).toBeLessThanOrEqual(clip + 1e-6);
      });
      expect(at % 6 === 5 ? losses[2] : 0).toBeCloseTo(at % 6 === 5 ? clip + 1 : 0, 5);
      expect(maskLosses).toBeUndefined();
    });
    const [c1] = run.experts as [MeasuredBundle];
    const classifier = await openClassifier(c1, { runtime, threads: 1, readTokenizer, base });
    const scores = await classifier.answer(given.map(({ text: of }) => of));
    await classifier.release();
    const known = rows.filter(({ losses }, at) => {
      if (at % 6 < 3) expect(losses[0]).toBeCloseTo(Math.min(clip, -scores[at * 3 + (at % 6)]!), 4);
      return losses[0]! < clip - 0.01;
    });
    expect(known.length).toBeGreaterThan(5);
    const path = at('classifiers.jsonl.gz');
    await writeFile(path, file.bytes);
    const table = await readRoutingTable(path);
    expect(table).toMatchObject({ unit: 'nats', set: 'made', digest: file.digest, skipped: 0, notes: [] });
    expect(table.models.map(({ expert }) => expert)).toEqual(['c1', 'c2', 'p']);
    expect(table.models[0]!.flopsPerToken).toBe(run.experts[0]!.manifest.flopsPerToken);
    expect(table.rows[3]).toMatchObject({ id: '4', task: 'd', doc: '1', prompt: text(3) });
  });

  it('is refused before anything runs when experts do not compare', async () => {
    const of = async (...names: string[]) => sharedTask(await open(...names));
    await expect(of('m1')).rejects.toThrow(/name 2 or more/);
    await expect(of('m1', 'c1')).rejects.toThrow(/m1 is for fill-mask, c1 for text-classification/);
    await expect(of('m1', 'm1')).rejects.toThrow(/both called m1/);
    await expect(of('m1', 'base')).rejects.toThrow(/pico is for feature-extraction/);
    expect(await of('m1', 'own')).toBe('fill-mask');
    const other = await openTrainingBase(at('other'), { runtime, threads: 1, readTokenizer });
    const experts = await open('m1', 'm2');
    expect(() => requireOneBase(experts, other)).toThrow(/m1 stands on pico .*name the folder of its base/);
    expect(() => requireOneBase(experts, base)).not.toThrow();
  });

  it('is of another run when an expert, a prompt or a setting that counts is another', async () => {
    const run = masked(await open('m1', 'm2'), prompts(4));
    const others: TableRun[] = [
      masked(await open('m2', 'm1'), run.prompts),
      masked(run.experts, prompts(5)),
      masked(
        run.experts,
        prompts(4, () => ({ group: 'g' })),
      ),
      { ...run, masking: { ...masking, seed: 4 } },
      { ...run, masking: { ...masking, masks: 3 } },
    ];
    expect(new Set<Digest>([run, ...others].map(runDigest)).size).toBe(others.length + 1);
    expect(runDigest({ ...run, labelCount: 9 })).toBe(runDigest(run));
    expect(promptChunks(prompts(70)).map(({ length }) => length)).toEqual([32, 32, 6]);
  });
});
