// Puts a report into the bundle of a router model and its new digest into the index: heads and tables stay as they are.
import { openRouterBundle, writeRouterBundle } from '@thalamus/bundle';
import { predictLosses } from '@thalamus/routing';
import {
  baselinePredictions,
  bestSingle,
  evaluationReport,
  mapRows,
  openedRouter,
  withReport,
} from '@thalamus/training';

/** Candidate that is most often as good as the best. */
function majorityOf(losses, candidates) {
  const wins = new Array(candidates).fill(0);
  for (let from = 0; from < losses.length; from += candidates) {
    const own = losses.subarray(from, from + candidates);
    const least = Math.min(...own);
    own.forEach((loss, k) => (wins[k] += loss <= least ? 1 : 0));
  }
  return wins.indexOf(Math.max(...wins));
}

/**
 * Judges the router model of a folder whose heads read the base's vectors, and writes it again with the report and `version`.
 * Parts are `{ rows: [{ prompt, task }], features, losses }`: `fitted` is what the heads were fitted on, `asked` the rows that are
 * judged. Resolves with the digest.
 */
export async function writeReport(
  folder,
  { fitted, asked, dataset, version, date, seed, prices, notes = [] },
) {
  const bundle = await openRouterBundle(folder);
  const { heads, manifest } = await openedRouter(bundle);
  const { dimension } = manifest.encoder;
  const names = manifest.candidates.map(({ expert }) => expert);
  const K = names.length;
  const rowsOf = ({ rows, losses }) =>
    rows.map(({ prompt, task }, at) => ({
      id: String(at),
      prompt,
      task,
      losses: losses.slice(at * K, (at + 1) * K),
    }));
  const rows = rowsOf(asked);
  const known = { rows: rowsOf(fitted), features: fitted.features, dimension };
  const trial = {
    manifest: {
      ...manifest,
      version,
      candidates: manifest.candidates.map((own, k) =>
        prices ? { ...own, properties: { cost: prices[k] } } : own,
      ),
      baselines: {
        bestSingle: names[bestSingle(fitted.losses, K)],
        majority: names[majorityOf(fitted.losses, K)],
      },
    },
    rows,
    predicted: predictLosses(heads, asked.features),
    seed,
    baselines: baselinePredictions(known, { rows, features: asked.features, dimension }, K, seed),
  };
  const mapped = mapRows(rows.length, seed);
  const vectors = new Float32Array(mapped.length * dimension);
  mapped.forEach((row, at) => {
    vectors.set(asked.features.subarray(row * dimension, (row + 1) * dimension), at * dimension);
  });
  const report = evaluationReport({
    trial,
    facts: { dataset, split: 'test', fitted: false, date, notes },
    mapped,
    spaces: [{ space: 'encoder', vectors, dimension }],
  });
  const { manifest: kept, files } = await withReport(bundle, report);
  const { digest } = await writeRouterBundle(folder, { ...kept, version }, files);
  const { figures, map } = report;
  console.log(`${manifest.name}@${version} ${digest}`);
  console.log(
    `loss ${figures.loss.value}, regret ${figures.regret.value}, top-1 ${figures.top1.value}, n ${rows.length}`,
  );
  for (const { space, purity } of map.spaces)
    console.log(`purity in ${space}: label ${purity.label}, best expert ${purity.best}`);
  console.log(`by chance: label ${map.chance.label}, best expert ${map.chance.best}`);
  return digest;
}
