// Checks that need nothing but the committed files: digests, licences, the split manifest, samples and the loss table.
import { digestOf, openBundle, openRouterBundle } from '@thalamus/bundle';
import { normalised, parseLossTable, readCsv, rowUse } from '@thalamus/training';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ROUTED_TASKS, ROUTER_ROWS, SAMPLE_ROWS, SPLIT_RULE, TASKS } from '../tasks.mjs';
import { checkLanguageModels } from './check-language-models.mjs';
import { checkSize } from './check-size.mjs';
import { differs } from './report.mjs';

/** Licences of which weights and samples may be shipped. */
const SHIPPABLE = ['CC-BY-4.0', 'CC-BY-3.0', 'CC0-1.0', 'MIT', 'Apache-2.0'];
const USES = { e: 'expert', r: 'router', v: 'validation' };

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
export const readSample = (zoo, set, kind) => {
  const path = join(zoo, `data/sample/${set}.${kind}.csv`);
  return readCsv(readFileSync(path), path);
};
export const readSplits = (zoo) => readJson(join(zoo, 'data/splits.json'));
export const readLossTable = (zoo) =>
  parseLossTable(
    gunzipSync(readFileSync(join(zoo, 'router/losses.jsonl.gz'))).toString('utf8'),
    'losses.jsonl.gz',
  );

/** Every committed digest against the files, every manifest against the index. Returns the opened bundles. */
export async function checkDigests(zoo, report) {
  const index = readJson(join(zoo, 'zoo.json'));
  const opened = { bases: [], experts: [], routers: [] };
  const faults = [];
  for (const kind of Object.keys(opened)) {
    for (const item of index[kind]) {
      // Opening checks the size and the digest of every file of the folder.
      const open = kind === 'routers' ? openRouterBundle : openBundle;
      const bundle = await open(join(zoo, item.folder));
      faults.push(...differs(`the digest of ${item.folder}`, bundle.digest, item.digest));
      opened[kind].push(bundle);
    }
  }
  const base = opened.bases[0].digest;
  for (const { manifest } of opened.experts)
    faults.push(...differs(`the base of ${manifest.name}`, manifest.base?.digest, base));
  const [router] = opened.routers;
  faults.push(...differs('the encoder of the router', router.manifest.encoder.digest, base));
  const routed = new Set(ROUTED_TASKS.map(({ expert }) => expert));
  for (const { manifest, digest } of opened.experts) {
    if (!routed.has(manifest.name)) continue;
    const candidate = router.manifest.candidates.find(({ expert }) => expert === manifest.name);
    faults.push(...differs(`the router's digest of ${manifest.name}`, candidate?.digest, digest));
  }
  report.add(
    'digests',
    faults,
    `${opened.experts.length} experts, ${index.bases.length} base, ${index.routers.length} router`,
  );
  return { index, ...opened };
}

/** The fleet: digests of its bundles and of the recorded answers, and a router that was fitted on its experts. */
export async function checkFleet(zoo, report) {
  const { fleet } = readJson(join(zoo, 'zoo.json'));
  const faults = [];
  const digests = new Map();
  for (const item of fleet.experts) {
    const { manifest, digest } = await openBundle(join(zoo, item.folder));
    digests.set(manifest.name, digest);
    faults.push(...differs(`the digest of ${item.folder}`, digest, item.digest));
  }
  for (const item of fleet.routers) {
    const { manifest, digest } = await openRouterBundle(join(zoo, item.folder));
    faults.push(...differs(`the digest of ${item.folder}`, digest, item.digest));
    for (const candidate of manifest.candidates)
      faults.push(
        ...differs(
          `the router's digest of ${candidate.expert}`,
          candidate.digest,
          digests.get(candidate.expert),
        ),
      );
  }
  const recordings = readFileSync(join(zoo, fleet.recordings.file));
  faults.push(...differs('the digest of the recordings', digestOf(recordings), fleet.recordings.digest));
  const prompts = gunzipSync(recordings).toString('utf8');
  if (!prompts.includes(JSON.stringify(fleet.sample))) faults.push('the sample of the fleet is not recorded');
  report.add('fleet', faults, `${fleet.experts.length} remote experts, ${fleet.routers.length} router`);
}

/** One licence and origin a task, the same in the list, the manifests and the index; all may be shipped. */
export function checkLicences({ index, experts, routers }, report) {
  const faults = [];
  for (const [at, task] of TASKS.entries()) {
    const { manifest } = experts[at];
    const { sample } = index.experts[at];
    const routed = routers[0].manifest.trainingData.find(({ name }) => name === task.set);
    if (!SHIPPABLE.includes(task.licence))
      faults.push(`${task.set} is under ${task.licence}, which may not be shipped`);
    faults.push(
      ...differs(`the expert of ${task.set}`, manifest.name, task.expert),
      ...differs(`the licence of ${manifest.name}`, manifest.licence, task.licence),
      ...differs(`the data licence of ${manifest.name}`, manifest.trainingData[0].licence, task.licence),
      ...differs(`the origin of ${manifest.name}`, manifest.trainingData[0].origin, task.origin),
      ...differs(`the sample licence of ${task.set}`, sample.licence, task.licence),
      ...differs(`the sample origin of ${task.set}`, sample.origin, task.origin),
    );
    if (ROUTED_TASKS.includes(task))
      faults.push(...differs(`the router's licence of ${task.set}`, routed?.licence, task.licence));
  }
  report.add('licences', faults, `${TASKS.length} data sets`);
}

/** The split manifest agrees with itself and with the row counts that the manifests claim. */
export function checkSplits(zoo, { experts, routers }, report) {
  const { shares, sets } = readSplits(zoo);
  const faults = differs('the shares', JSON.stringify(shares), JSON.stringify(SPLIT_RULE));
  faults.push(...differs('the sum of the shares', shares.expert + shares.router + shares.validation, 100));
  faults.push(...differs('the sets', Object.keys(sets).join(), TASKS.map(({ set }) => set).join()));
  for (const [at, { set }] of TASKS.entries()) {
    for (const [letter, use] of Object.entries(USES))
      faults.push(
        ...differs(`${use} rows of ${set}`, sets[set][use], sets[set].uses.split(letter).length - 1),
      );
    const { manifest } = experts[at];
    const validation = manifest.evaluation.find(({ split }) => split === 'validation');
    const routed = routers[0].manifest.trainingData.find(({ name }) => name === set);
    faults.push(
      ...differs(`training rows of ${manifest.name}`, manifest.trainingData[0].rows, sets[set].expert),
      ...differs(`validation rows of ${manifest.name}`, validation?.n, sets[set].validation),
    );
    if (ROUTED_TASKS.includes(TASKS[at]))
      faults.push(...differs(`router rows of ${set}`, routed?.rows, sets[set].router));
  }
  report.add('split manifest', faults);
}

/** Samples hold what they claim: rows of the right use, known labels, and no text of one part in another. */
export function checkSamples(zoo, { experts }, report) {
  const faults = [];
  const allTrain = new Set();
  const samples = TASKS.map(({ set }) => ({
    set,
    train: readSample(zoo, set, 'train'),
    router: readSample(zoo, set, 'router'),
    test: readSample(zoo, set, 'test'),
  }));
  for (const { train, router } of samples)
    for (const row of [...train, ...router]) allTrain.add(normalised(row.text));
  const { sets } = readSplits(zoo);
  for (const [at, { set, train, router, test }] of samples.entries()) {
    const labels = new Set(experts[at].manifest.labels);
    faults.push(...differs(`rows of ${set}.train.csv`, train.length, SAMPLE_ROWS));
    faults.push(...differs(`rows of ${set}.test.csv`, test.length, SAMPLE_ROWS));
    faults.push(
      ...differs(`rows of ${set}.router.csv`, router.length, Math.min(ROUTER_ROWS, sets[set].router)),
    );
    for (const row of [...train, ...router, ...test])
      if (!labels.has(row.label))
        faults.push(`${set} has a sample with the label "${row.label}" of no expert`);
    for (const row of train)
      if (rowUse(row.text, SPLIT_RULE) !== 'expert')
        faults.push(`${set}.train.csv holds a row of another use`);
    for (const row of router)
      if (rowUse(row.text, SPLIT_RULE) !== 'router')
        faults.push(`${set}.router.csv holds a row of another use`);
    for (const row of test)
      if (allTrain.has(normalised(row.text))) faults.push(`${set}.test.csv holds a training text`);
  }
  const count = samples.reduce(
    (sum, { train, router, test }) => sum + train.length + router.length + test.length,
    0,
  );
  report.add('samples', faults, `${count} rows`);
}

/** The loss table names these experts and holds exactly the router's and the validation rows. */
export function checkLossTable(zoo, { experts, routers }, report) {
  const table = readLossTable(zoo);
  const bytes = gunzipSync(readFileSync(join(zoo, 'router/losses.jsonl.gz')));
  const { sets } = readSplits(zoo);
  const faults = [];
  for (const candidate of routers[0].manifest.candidates)
    faults.push(
      ...differs(`the loss table of ${candidate.expert}`, candidate.fittedOn.lossTable, digestOf(bytes)),
    );
  const named = table.meta.experts.map(({ expert, digest }) => `${expert} ${digest}`).join();
  faults.push(
    ...differs(
      'the experts',
      named,
      experts
        .filter((_, at) => ROUTED_TASKS.includes(TASKS[at]))
        .map(({ manifest, digest }) => `${manifest.name} ${digest}`)
        .join(),
    ),
  );
  for (const use of ['router', 'validation'])
    for (const { set } of ROUTED_TASKS) {
      const found = table.rows.filter((row) => row.use === use && row.id.startsWith(`${set}:`)).length;
      faults.push(...differs(`${use} rows of ${set}`, found, sets[set][use]));
    }
  const highest = routers[0].manifest.lossScale.outsideLabels + 1e-6;
  if (table.rows.some(({ losses }) => losses.some((loss) => !(loss >= 0 && loss <= highest))))
    faults.push(`a loss is not between 0 and ${highest}`);
  report.add('loss table', faults, `${table.rows.length} rows`);
}

/** All checks of the committed files; returns the opened bundles. */
export async function checkCommitted(zoo, report) {
  const opened = await checkDigests(zoo, report);
  checkLicences(opened, report);
  checkSplits(zoo, opened, report);
  checkSamples(zoo, opened, report);
  checkLossTable(zoo, opened, report);
  await checkFleet(zoo, report);
  await checkLanguageModels(zoo, report);
  checkSize(zoo, report);
  return opened;
}
