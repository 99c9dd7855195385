// Measures merges of one set of parents on the same rows.
import {
  ComposedGraph,
  fitRouter,
  largestParityGap,
  measureParents,
  mergeWeights,
  openProducts,
  ROUTER_DEFAULTS,
} from '@thalamus/composition';
import {
  buildTwinGraph,
  chooseRanks,
  decomposeExclusiveVectors,
  FACTOR_BYTES,
  INFORMATION_DEFAULTS,
  maxRankOf,
  staticMethod,
} from '@thalamus/model-merge';
import { buildBertEncoder } from '@thalamus/onnx-graph';
import { argMax } from '@thalamus/tensor';
import { openClassifier } from '@thalamus/training';

/** Tokens of a text, as in training. */
const MAX_TOKENS = 128;

export class Measuring {
  constructor({ base, runtime, experts, seed, threads }) {
    Object.assign(this, { base, runtime, experts, seed, threads });
    this.parents = experts.map(({ parent }) => parent);
    this.known = new Map();
  }

  /** Rows of all tasks: `test` judges, `choose` chooses. */
  rows(split) {
    return this.once(`rows ${split}`, async () => {
      const rows = this.experts.flatMap((expert, task) => expert[split].map((row) => ({ ...row, task })));
      const encoded = await this.base.tokens.encode(
        rows.map(({ text }) => text),
        MAX_TOKENS,
      );
      return { rows, ids: encoded.map(({ ids }) => ids) };
    });
  }

  shared(method, parameters = {}) {
    const { shared = {}, ...perParent } = parameters;
    const given = { shared, parents: this.parents.map(({ name }) => ({ name, parameters: perParent })) };
    return this.once(`shared ${method} ${JSON.stringify(parameters)}`, async () => {
      const measured = staticMethod(method).needsInformation ? await this.information() : undefined;
      return mergeWeights({ method, parameters: given }, this.base.read.weights, this.parents, {
        information: (parent) => measured?.get(parent),
      });
    });
  }

  /** Fisher information of every parent on its own training rows, as many as a composition takes. */
  information() {
    return this.once('information', () =>
      measureParents(
        this.parents,
        this.experts.map(({ train, test }) => ({ train: train.map((text) => ({ text })), test })),
        { ...INFORMATION_DEFAULTS, isUnit: true },
        { base: this.base, seed: this.seed, onProgress: () => {} },
      ),
    );
  }

  /** The router, fitted on the training rows and chosen by the validation rows. */
  router(passes, shared) {
    return this.once(`router ${passes}`, () =>
      fitRouter(
        new Map(
          this.experts.map(({ parent, train, validation, test }) => [
            parent.name,
            { train, validation: validation.map(({ text }) => text), test: test.map(({ text }) => text) },
          ]),
        ),
        { ...ROUTER_DEFAULTS, passes, rowsPerParent: passes === 2 ? 1_000 : ROUTER_DEFAULTS.rowsPerParent },
        {
          shared,
          config: this.base.read.config,
          tokens: this.base.tokens,
          maxTokens: MAX_TOKENS,
          runtime: this.runtime,
          threads: this.threads,
          seed: this.seed,
        },
      ),
    );
  }

  /** Exclusive vectors against a shared expert, up to a rank; the last one is kept. */
  async exclusive(key, shared, rank) {
    if (this.vectors?.key !== key) {
      const products = await openProducts(this.runtime, this.threads);
      const of = await decomposeExclusiveVectors(shared, this.parents, {
        maxRank: maxRankOf({ kind: 'rank', rank }),
        seed: this.seed,
        multiply: products.multiply,
      });
      await products.release();
      this.vectors = { key, of };
    }
    return this.vectors.of;
  }

  mixture(vectors, rule) {
    const ranks = chooseRanks(vectors.spectra, rule);
    const mixture = vectors.mixture(ranks);
    let factorBytes = 0;
    for (const changes of mixture.matrices.values())
      for (const { left, right } of changes) factorBytes += FACTOR_BYTES * (left.length + right.length);
    return { mixture, factorBytes };
  }

  /** Runs a merge on rows; gives for each row whether it is right under both protocols, and where it was routed. */
  async run({ split = 'test', named = false, ...merge }) {
    const { rows, ids } = await this.rows(split);
    const { graph, answers } = await this.answer(
      merge,
      ids,
      named ? rows.map(({ task }) => task) : undefined,
    );
    return {
      graph,
      answers,
      rows: rows.map((row, at) => ({
        task: row.task,
        honest: graph.labels[answers[at].label] === row.label,
        trueHead: this.parents[row.task].labels[argMax(answers[at].own[row.task])] === row.label,
        routed: argMax(answers[at].weights),
      })),
    };
  }

  /** What a merge answers to token ids: every head reads every text. `parents` may have other heads than the experts'. */
  async answer(
    { shared, mixture, passes = 1, storage = { kind: 'float32' }, parents = this.parents, ...rule },
    ids,
    named,
  ) {
    const fitted = await this.router(passes, shared);
    const graph = buildTwinGraph({
      encoder: buildBertEncoder(this.base.read.config, shared, storage),
      mixture,
      router: fitted.router,
      abstainBelow: fitted.abstainBelow,
      readsAllHeads: true,
      parents,
      ...rule,
    });
    const composed = await ComposedGraph.open(this.runtime, graph.model, this.threads, graph.parents);
    const answers = await composed.answer(ids, named);
    await composed.release();
    return { graph, answers };
  }

  /** Labels of the parents alone on their own rows. */
  alone(split = 'test') {
    return this.once(`alone ${split}`, async () => {
      const { rows } = await this.rows(split);
      const right = new Array(rows.length);
      for (const [task, { parent }] of this.experts.entries()) {
        const own = rows.flatMap((row, at) => (row.task === task ? [at] : []));
        const classifier = await openClassifier(parent.bundle, {
          runtime: this.runtime,
          threads: this.threads,
          base: this.base,
          readTokenizer: () => this.base.tokens,
        });
        const scores = await classifier.answer(own.map((at) => rows[at].text));
        const width = classifier.labels.length;
        own.forEach((at, place) => {
          const best = argMax(scores.subarray(place * width, (place + 1) * width));
          right[at] = classifier.labels[best] === rows[at].label;
        });
        await classifier.release();
      }
      return right;
    });
  }

  /** One line for each task: what was right, as text of zeros and ones. */
  async lines(measured) {
    const alone = await this.alone();
    const bits = (task, of) =>
      measured.flatMap((row, at) => (row.task === task ? [of(row, at) ? '1' : '0'] : [])).join('');
    return this.experts.map(({ task }, index) => ({
      task,
      alone: bits(index, (_, at) => alone[at]),
      honest: bits(index, ({ honest }) => honest),
      trueHead: bits(index, ({ trueHead }) => trueHead),
      routed: bits(index, ({ routed }) => routed === index),
    }));
  }

  /** Normalised score on the rows that choose, with the true head. */
  async chosenScore(merge) {
    const { rows } = await this.run({ ...merge, split: 'choose' });
    const alone = await this.alone('choose');
    const scores = this.experts.map((_, task) => {
      const own = rows.flatMap((row, at) => (row.task === task ? [at] : []));
      const count = (of) => own.filter(of).length;
      return count((at) => rows[at].trueHead) / count((at) => alone[at]);
    });
    return scores.reduce((sum, score) => sum + score, 0) / scores.length;
  }

  async parity(merge, { answers, graph }) {
    const { ids } = await this.rows('test');
    const spread = (at) => 1 - Math.max(...answers[at].weights);
    const mixed = [...answers.keys()].sort((a, b) => spread(b) - spread(a)).slice(0, 3);
    return largestParityGap(
      mixed.map((at) => ({ ids: ids[at], task: undefined, answer: answers[at] })),
      {
        runtime: this.runtime,
        threads: this.threads,
        config: this.base.read.config,
        shared: merge.shared,
        mixture: merge.mixture,
        rule: { top: merge.top },
        parents: this.parents,
        labels: graph.labels,
      },
    );
  }

  summary(lines) {
    const share = (bits) => [...bits].filter((bit) => bit === '1').length / bits.length;
    const mean = (of) => lines.reduce((sum, line) => sum + of(line), 0) / lines.length;
    const percent = (value) => (100 * value).toFixed(2);
    return `honest ${percent(mean(({ honest, alone }) => share(honest) / share(alone)))}, true head ${percent(mean(({ trueHead, alone }) => share(trueHead) / share(alone)))}, routing ${percent(mean(({ routed }) => share(routed)))}`;
  }

  async once(key, make) {
    if (!this.known.has(key)) this.known.set(key, await make());
    return this.known.get(key);
  }
}
