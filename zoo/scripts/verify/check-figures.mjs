// Measures every committed figure of the experts and of the router again, from the committed weights and the data.
import { readSafetensors, requireFloat32 } from '@thalamus/bundle';
import { predictLosses, prototypeDistances } from '@thalamus/routing';
import { bestSingle, evaluationRows, nearOptimal, routingOutcomes } from '@thalamus/training';
import { figuresOf, openServed, WIDTH } from '../served-experts.mjs';
import { rowId, TASKS } from '../tasks.mjs';
import { readLossTable } from './check-index.mjs';
import { differs, figureDiffers } from './report.mjs';

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Every evaluation row of every expert, as it is served: the test file, and the validation rows. */
export async function checkExperts(base, zoo, data, tolerance, report) {
  for (const [at, expert] of (await openServed(zoo, TASKS, base)).entries()) {
    const { set, train, test, uses } = data[at];
    const { releaseDate, evaluation, name } = expert.manifest;
    const validation = train.filter((_, index) => uses[index] === 'validation');
    const onTest = await figuresOf(expert, test, `${set}.test`);
    const found = [
      ...evaluationRows(set, 'test', onTest, releaseDate),
      ...evaluationRows(
        set,
        'validation',
        await figuresOf(expert, validation, `${set}.validation`),
        releaseDate,
      ),
    ];
    const faults = evaluation.flatMap((row) => {
      const again = found.find(({ split, metric }) => split === row.split && metric === row.metric);
      if (!again) return [`${row.split} ${row.metric} is committed, but is no figure that can be measured`];
      const what = `${row.split} ${row.metric}`;
      return [
        ...differs(`n of ${what}`, row.n, again.n),
        ...figureDiffers(what, again.value, row.value, tolerance),
      ];
    });
    const note = `test n ${test.length}, accuracy ${onTest.accuracy.toFixed(4)}, macro-F1 ${onTest.macroF1.toFixed(4)}`;
    report.add(`figures of ${name}`, faults, note);
  }
}

/** The losses of the table, against those of `parts`, measured again. */
export function checkLosses(zoo, parts, candidates, tolerance, report) {
  const committed = new Map(readLossTable(zoo).rows.map(({ id, losses }) => [id, losses]));
  let largest = 0;
  for (const { rows, losses } of [parts.router, parts.choose, parts.calibrate])
    rows.forEach((row, at) =>
      (committed.get(rowId(row.set, row.text)) ?? []).forEach((loss, k) => {
        largest = Math.max(largest, Math.abs(loss - losses[at * candidates + k]));
      }),
    );
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
