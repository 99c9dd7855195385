// Trains the versions of one task and the arms between them, and says what each answers to the test rows.
import { openBundle, readClassifierHead, readLowRankAdapter, writeBundle } from '@thalamus/bundle';
import { argMax } from '@thalamus/tensor';
import { openClassifier, prepareRepair, trainExpert } from '@thalamus/training';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { TASKS } from '../tasks.mjs';
import { CACHE } from './base-versions.mjs';
import { encodeAnswers } from './answers.mjs';
import { PAIRS, REPAIR_SETTINGS, UPDATE_TASKS, VERSION_SETTINGS, WITHOUT_LABELS } from './pairs.mjs';
import { readUpdateRows } from './rows.mjs';

/** Seeds of the adapters: those of v1 and v2 differ, as do two of v2. */
const VERSION_SEEDS = { v1: 1, v2: 2, 'v2 again': 3 };

export class Measuring {
  constructor({ bases, pair, task, seed, data, isPilot, settings = REPAIR_SETTINGS }) {
    Object.assign(this, { bases, pair, task, seed, settings });
    this.rows = readUpdateRows(data, task, seed, { repair: settings.rows ?? PAIRS[pair].repair, isPilot });
    this.maxTokens = UPDATE_TASKS[task].maxTokens;
    this.known = new Map();
  }

  /** What an arm answers to the test rows, and facts of its training. */
  async measure(arm) {
    if (arm in VERSION_SEEDS) {
      const { labels, scores, bytes } = await this.version(arm);
      return this.line(labels, scores.test, { bytes });
    }
    const [v1, v2] = [await this.version('v1'), await this.version('v2')];
    if (arm === 'ensemble') {
      const mixed = v1.scores.test.map((score, at) => Math.exp(score) + Math.exp(v2.scores.test[at]));
      return this.line(v2.labels, mixed, { bytes: v1.bytes + v2.bytes });
    }
    return this.repaired(arm, v1, v2);
  }

  async repaired(arm, v1, v2) {
    const expert = await openBundle(v2.folder);
    const base = this.bases.new;
    const encode = async (rows, maxTokens) =>
      (
        await base.tokens.encode(
          rows.map(({ text }) => text),
          maxTokens,
        )
      ).map(({ ids }) => ids);
    // Rows are cut in training alone: what is judged is what is served.
    const served = base.manifest.maxTokens;
    const taught = async (part, maxTokens, count = this.rows[part].length) => {
      const rows = this.rows[part].slice(0, count);
      const of = ({ scores, labels }) => scores[part].subarray(0, count * labels.length);
      return {
        ids: await encode(rows, maxTokens),
        classes: Int32Array.from(rows, ({ label }) => v2.labels.indexOf(label)),
        answers: { old: of(v1), new: of(v2) },
      };
    };
    const all = this.rows.repair.length;
    const labelled = PAIRS[this.pair].labelled ?? all;
    const count = WITHOUT_LABELS.includes(arm) ? all : Math.min(labelled, all);
    // All arms take the same steps.
    const epochs = Math.round((this.settings.epochs * all) / count);
    const prepared = prepareRepair({
      base,
      name: expert.manifest.name,
      start: {
        adapter: await readLowRankAdapter(expert),
        head: await readClassifierHead(expert, base.read.config.hiddenSize),
      },
      arm,
      train: await taught('repair', this.maxTokens, count),
      validation: await taught('validation', served),
      test: await encode(this.rows.test, served),
      settings: { ...this.settings, epochs },
      seed: this.seed,
    });
    const { outcome, test } = await prepared.run({});
    const facts = { taught: count, steps: outcome.state.optimiser.step, ...outcome.state.bestFigures };
    return this.line(v2.labels, test, facts);
  }

  /** A version: trained once, then answered with. */
  async version(name) {
    if (!this.known.has(name)) this.known.set(name, await this.open(name));
    return this.known.get(name);
  }

  async open(name) {
    const isOld = name === 'v1';
    const base = isOld ? this.bases.old : this.bases.new;
    const share = PAIRS[this.pair][isOld ? 'old' : 'new'];
    const settings = { ...VERSION_SETTINGS, maxTokens: this.maxTokens };
    const seed = 10 * this.seed + VERSION_SEEDS[name];
    // A version of another pair is the same one: it stands on the same base, rows and seed.
    const train = isOld ? this.rows.trainOld : this.rows.train;
    const key = JSON.stringify([base.digest, this.task, train.length, settings, seed]);
    const folder = join(
      CACHE,
      `${this.task}-${share}-${createHash('sha256').update(key).digest('hex').slice(0, 12)}`,
    );
    if (!existsSync(join(folder, 'expert.json'))) await this.train(folder, base, settings, seed, train);
    const expert = await openBundle(folder);
    const classifier = await openClassifier(expert, {
      runtime: base.runtime,
      threads: base.threads,
      base,
      readTokenizer: () => base.tokens,
    });
    const scores = {};
    for (const part of ['repair', 'validation', 'test'])
      scores[part] = await classifier.answer(this.rows[part].map(({ text }) => text));
    await classifier.release();
    return { folder, labels: expert.manifest.labels, scores, bytes: expert.sizeBytes };
  }

  async train(folder, base, settings, seed, train) {
    mkdirSync(CACHE, { recursive: true });
    const { licence, origin, expert, description } = TASKS.find(({ set }) => set === this.task);
    const { choose } = this.rows;
    const result = await trainExpert({
      base,
      parts: { train, validation: choose, test: choose },
      method: 'lora',
      keepMethod: true,
      settings,
      seed,
      facts: {
        name: expert,
        version: seed % 10 === VERSION_SEEDS.v1 ? '1' : '2',
        description,
        licence,
        trainingData: [{ name: this.task, licence, origin, rows: train.length }],
        seed,
        date: new Date().toISOString().slice(0, 10),
        datasets: { validation: this.task, test: this.task },
      },
    });
    await writeBundle(folder, result.manifest, result.files);
  }

  /** Answers are numbers of labels in the order of their names. */
  line(labels, scores, facts) {
    const names = [...labels].sort();
    const width = labels.length;
    const answers = this.rows.test.map((_, row) =>
      names.indexOf(labels[argMax(scores.subarray(row * width, (row + 1) * width))]),
    );
    const truth = this.rows.test.map(({ label }) => names.indexOf(label));
    return {
      rows: Object.fromEntries(Object.entries(this.rows).map(([part, { length }]) => [part, length])),
      labels: width,
      ...facts,
      truth: encodeAnswers(truth),
      answers: encodeAnswers(answers),
    };
  }

  summary({ truth, answers }) {
    const count = truth.length / 2;
    let right = 0;
    for (let at = 0; at < truth.length; at += 2)
      if (truth.slice(at, at + 2) === answers.slice(at, at + 2)) right += 1;
    return `accuracy ${((100 * right) / count).toFixed(1)}`;
  }
}
