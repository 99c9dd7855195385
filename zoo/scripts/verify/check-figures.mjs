// Measures every committed figure of the experts and of the router again, from the committed weights and the data.
import { readSafetensors, requireFloat32 } from '@thalamus/bundle';
import { predictLosses, prototypeDistances } from '@thalamus/routing';
import {
  bestSingle,
  evaluateHead,
  evaluationRows,
  labelled,
  nearOptimal,
  routingOutcomes,
} from '@thalamus/training';
import { embedAll } from '../embeddings.mjs';
import { measureLosses, readHead, takeRows, WIDTH } from '../router/measure.mjs';
import { rowId } from '../tasks.mjs';
import { readLossTable } from './check-index.mjs';
import { differs, figureDiffers } from './report.mjs';

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Every evaluation row of every expert: the test file, and the validation rows. */
export async function checkExperts(base, data, { experts }, tolerance, report) {
  const measured = [];
  for (const [at, { manifest, ...bundle }] of experts.entries()) {
    const { set, train, test, uses } = data[at];
    const head = await readHead({ manifest, ...bundle });
    const figures = async (rows, features) =>
      evaluateHead(
        head,
        labelled({ features, labels: rows.map(({ label }) => label) }, manifest.labels, WIDTH),
      );
    const testFeatures = await embedAll(
      base,
      test.map(({ text }) => text),
      `${set}.test`,
    );
    const trainFeatures = await embedAll(
      base,
      train.map(({ text }) => text),
      `${set}.train`,
    );
    const validation = takeRows(
      { rows: train, features: trainFeatures },
      (_, index) => uses[index] === 'validation',
    );
    const found = [
      ...evaluationRows(set, 'test', await figures(test, testFeatures), manifest.releaseDate),
      ...evaluationRows(
        set,
        'validation',
        await figures(validation.rows, validation.features),
        manifest.releaseDate,
      ),
    ];
    const faults = manifest.evaluation.flatMap((row) => {
      const again = found.find(({ split, metric }) => split === row.split && metric === row.metric);
      if (!again) return [`${row.split} ${row.metric} is committed, but is no figure that can be measured`];
      const what = `${row.split} ${row.metric}`;
      return [
        ...differs(`n of ${what}`, row.n, again.n),
        ...figureDiffers(what, again.value, row.value, tolerance),
      ];
    });
    const value = (metric) =>
      found.find((row) => row.split === 'test' && row.metric === metric).value.toFixed(4);
    report.add(
      `figures of ${manifest.name}`,
      faults,
      `test n ${test.length}, accuracy ${value('accuracy')}, macro-F1 ${value('macro-f1')}`,
    );
    measured.push({ set, test, testFeatures });
  }
  return measured;
}

/** The losses of the table, measured again. */
export async function checkLosses(base, zoo, data, library, tolerance, report) {
  const committed = new Map(readLossTable(zoo).rows.map(({ id, losses }) => [id, losses]));
  let largest = 0;
  for (const { set, train, uses } of data) {
    const features = await embedAll(
      base,
      train.map(({ text }) => text),
      `${set}.train`,
    );
    const held = takeRows({ rows: train, features }, (_, index) => uses[index] !== 'expert');
    const losses = measureLosses(library, held.rows, held.features);
    held.rows.forEach((row, at) =>
      (committed.get(rowId(set, row.text)) ?? []).forEach((loss, k) => {
        largest = Math.max(largest, Math.abs(loss - losses[at * library.experts.length + k]));
      }),
    );
  }
  // A single loss is less steady than a mean of them.
  const limit = 20 * tolerance;
  report.add(
    'losses of the table',
    largest <= limit ? [] : [`a loss differs by ${largest} nats, more than ${limit}`],
    `largest difference ${largest.toExponential(1)} nats`,
  );
}

/** The heads of the router as `predictLosses` takes them. */
export async function readRouterHeads({ manifest, readFile }) {
  const file = readSafetensors(await readFile(manifest.heads.file));
  const count = manifest.candidates.length;
  const { kind, hidden } = manifest.heads;
  const tensor = (name, shape) => requireFloat32(file, name, shape);
  const bias = tensor('heads.bias', [count]);
  const prototypes = file.tensors.has('abstention.prototypes')
    ? tensor('abstention.prototypes', [-1, WIDTH])
    : undefined;
  if (kind === 'linear')
    return {
      heads: { kind, dimension: WIDTH, weights: tensor('heads.weight', [count, WIDTH]), bias },
      prototypes,
    };
  if (kind === 'mlp') {
    const hiddenWeights = tensor('heads.hidden.weight', [hidden, WIDTH]);
    const hiddenBias = tensor('heads.hidden.bias', [hidden]);
    return {
      heads: {
        kind,
        dimension: WIDTH,
        hiddenWeights,
        hiddenBias,
        weights: tensor('heads.weight', [count, hidden]),
        bias,
      },
      prototypes,
    };
  }
  const gateWeights = tensor('heads.gate.weight', [hidden, WIDTH]);
  const gateBias = tensor('heads.gate.bias', [hidden]);
  return {
    heads: {
      kind,
      dimension: WIDTH,
      gateWeights,
      gateBias,
      weights: tensor('heads.weight', [count, hidden + WIDTH]),
      bias,
    },
    prototypes,
  };
}

/** Figures of the router on the test rows and on the prompts that no expert fits, against its manifest. */
export async function checkRouter({ data, outOfScope, bundle, candidates, tolerance }, report) {
  const { manifest } = bundle;
  const { heads, prototypes } = await readRouterHeads(bundle);
  const predicted = predictLosses(heads, data.test.features);
  const outcomes = routingOutcomes({ predicted, measured: data.test.losses, candidates });
  const { score, threshold } = manifest.calibration.abstention;
  const abstained = (features) => {
    const losses = predictLosses(heads, features);
    const scores =
      score === 'prototype-distance'
        ? prototypeDistances(features, prototypes, WIDTH)
        : Float32Array.from({ length: features.length / WIDTH }, (_, at) =>
            Math.min(...losses.subarray(at * candidates, (at + 1) * candidates)),
          );
    return mean(Array.from(scores, (value) => (value > threshold ? 1 : 0)));
  };
  const single = bestSingle(data.choose.losses, candidates);
  const found = {
    'top-1': mean(Array.from(nearOptimal(outcomes, 0))),
    regret: mean(Array.from(outcomes.routed, (loss, at) => loss - outcomes.oracle[at])),
    loss: mean(Array.from(outcomes.routed)),
    'oracle-loss': mean(Array.from(outcomes.oracle)),
    'random-loss': mean(Array.from(outcomes.random)),
    'best-single-loss': mean(
      Array.from({ length: outcomes.routed.length }, (_, at) => data.test.losses[at * candidates + single]),
    ),
    'false-abstention': abstained(data.test.features),
    'out-of-scope-abstention': abstained(outOfScope('oos_test')),
  };
  const faults = manifest.evaluation.flatMap(({ metric, value }) =>
    metric in found
      ? figureDiffers(metric, found[metric], value, tolerance)
      : [`${metric} is committed, but is no figure that can be measured`],
  );
  const missing = Object.keys(found).filter(
    (metric) => !manifest.evaluation.some((row) => row.metric === metric),
  );
  faults.push(...missing.map((metric) => `${metric} is not in the manifest`));
  report.add(
    'figures of the router',
    faults,
    Object.entries(found)
      .map(([name, value]) => `${name} ${value.toFixed(4)}`)
      .join(', '),
  );
}
