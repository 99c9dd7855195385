import {
  digestOf,
  parseExpertManifest,
  encodeManifest,
  listFiles,
  type ExpertManifest,
} from '@thalamus/bundle';
import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { probeBundle, type ProbeFacts } from './probe-bundle.js';
import { evaluateHead, L2_GRID, labelled, trainProbe, type EmbeddedRows } from './train-probe.js';

const WIDTH = 4;

/** Three clouds around unit vectors. */
function clouds(seed: number, rows: number): EmbeddedRows {
  const random = createRandom(seed);
  const labels = Array.from({ length: rows }, (_, row) => ['red', 'green', 'blue'][row % 3]!);
  const features = Float32Array.from({ length: rows * WIDTH }, (_, at) => {
    const row = Math.floor(at / WIDTH);
    return (at % WIDTH === row % 3 ? 1 : 0) + 0.4 * random.normal();
  });
  return { features, labels };
}

const train = clouds(1, 300);
const validation = clouds(2, 150);

describe('a probe', () => {
  it('learns what can be learned and reports it on rows that it has not seen', () => {
    const probe = trainProbe(train, validation, WIDTH);
    expect(probe.labels).toEqual(['blue', 'green', 'red']);
    expect(L2_GRID).toContain(probe.l2);
    // The best possible rule for these clouds is right about 92 % of the time.
    expect(probe.validation.accuracy).toBeGreaterThan(0.85);
    expect(probe.validation).toEqual(evaluateHead(probe.head, labelled(validation, probe.labels, WIDTH)));
  });

  it('chooses the strength with the least loss on validation, and says how far it is', () => {
    const tried: { l2: number; loss: number }[] = [];
    const steps: number[] = [];
    const probe = trainProbe(train, validation, WIDTH, (progress) => {
      steps.push(progress.done / progress.total);
      if (progress.tried) tried.push({ l2: progress.tried.l2, loss: progress.tried.metrics.logLoss });
    });
    const least = tried.reduce((best, next) => (next.loss < best.loss ? next : best));
    expect(probe.l2).toBe(least.l2);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBeLessThanOrEqual(1);
  });

  it('is stored as it was measured: every weight is a binary16', () => {
    const { head } = trainProbe(train, validation, WIDTH);
    for (const value of [...head.weights, ...head.bias]) expect(Math.fround(value)).toBe(value);
    expect(new Float32Array(new Float16Array(head.weights))).toEqual(head.weights);
  });

  it('refuses one label, and validation labels that training never saw', () => {
    const one = { ...train, labels: train.labels.map(() => 'same') };
    expect(() => trainProbe(one, one, WIDTH)).toThrow(/two labels/);
    const odd = { ...validation, labels: validation.labels.map(() => 'mauve') };
    expect(() => trainProbe(train, odd, WIDTH)).toThrow(/"mauve" was not seen in training/);
  });
});

describe('the bundle of a probe', () => {
  const base: ExpertManifest = {
    schemaVersion: 1,
    name: 'base',
    version: '3',
    kind: 'full',
    task: 'feature-extraction',
    description: 'A base.',
    maxTokens: 128,
    parameterCount: 1_000,
    flopsPerToken: 5,
    precision: 'int8',
    licence: 'Apache-2.0',
    trainingData: [],
    evaluation: [],
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: '2026-01-01',
    files: [],
  };
  const probe = trainProbe(train, validation, WIDTH);
  const facts: ProbeFacts = {
    name: 'colours',
    version: '2',
    description: 'Colours.',
    licence: 'CC0-1.0',
    base: { manifest: base, digest: digestOf('base') },
    width: WIDTH,
    trainingData: [{ name: 'colours', licence: 'CC0-1.0', origin: 'made up', rows: 300 }],
    validation: { dataset: 'colours', metrics: probe.validation },
    test: { dataset: 'colours-test', metrics: probe.validation },
    seed: 7,
    date: '2026-02-03',
  };

  it('is a valid manifest with figures, licence, data and lineage', () => {
    const { manifest, files } = probeBundle(probe, facts);
    const bytes = encodeManifest({ ...manifest, files: listFiles(files) });
    const read = parseExpertManifest(bytes);
    expect(read.labels).toEqual(['blue', 'green', 'red']);
    expect(read.parameterCount).toBe(1_000 + 3 * (WIDTH + 1));
    expect(read.lineage).toMatchObject({ seed: 7, parents: [{ name: 'base', version: '3' }] });
    const figures = read.evaluation.map(
      ({ dataset, split, metric, n }) => `${dataset} ${split} ${metric} ${n}`,
    );
    expect(figures).toEqual([
      'colours validation accuracy 150',
      'colours-test test accuracy 150',
      'colours-test test macro-f1 150',
      'colours-test test log-loss 150',
      'colours-test test calibration-error 150',
    ]);
  });

  it('has the same digest for the same rows and facts', () => {
    const digest = () => {
      const { manifest, files } = probeBundle(trainProbe(train, validation, WIDTH), facts);
      return digestOf(encodeManifest({ ...manifest, files: listFiles(files) }));
    };
    expect(digest()).toBe(digest());
  });
});
