// How the default gate does on seeded releases, 20 bad and 20 good; writes docs/results/updates-gate.md and its data.
//   npm run results:updates-gate [-- --seeds 20]
// The releases and the sizes of their effects are in gate-releases.json. Each goes through what a release goes through: contracts, items
// offline, mirrored requests, a canary, every stage judged by the default gate.
import { defaultGate, evaluateGate } from '@thalamus/compatibility';
import { createRandom } from '@thalamus/tensor';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { contractDifferences } from './gate-contract.mjs';
import { compareItems } from './gate-items.mjs';
import { runStage } from './gate-live.mjs';
import { gatePage } from './gate-page.mjs';

const PAGE = 'docs/results/updates-gate.md';
const DATA = 'docs/results/data/updates-gate.json';
const { values } = parseArgs({ options: { seeds: { type: 'string', default: '20' } } });
const plan = JSON.parse(readFileSync(new URL('gate-releases.json', import.meta.url), 'utf8'));
const gate = defaultGate();

/** Where a release ends: failed, inconclusive or promoted; at which stage, by which rule, after how many live requests. */
function run(release, seed) {
  const random = createRandom(seed);
  const own = { ...plan.defaults, ...release };
  const evidence = {
    contract: { differences: contractDifferences(own) },
    comparisons: { offline: compareItems(own, random) },
  };
  let live = 0;
  for (const stage of ['contract', 'offline', 'shadow', 'canary']) {
    const isLive = stage === 'shadow' || stage === 'canary';
    const result = isLive ? runStage(gate, stage, own, random) : evaluateGate(gate, evidence, [stage]);
    if (isLive) live += result.requests;
    if (result.status === 'passed') continue;
    const rule = result.rules.find(({ status }) => status === result.status);
    return { end: result.status, stage, rule: rule.rule, says: rule.sentence, requests: live };
  }
  return { end: 'promoted', requests: live };
}

const seeds = Array.from({ length: Number(values.seeds) }, (_, at) => plan.seed + at);
const kinds = ['bad', 'good'];
const results = kinds.flatMap((kind) =>
  plan[kind].map((release, at) => ({
    kind,
    id: release.id,
    what: release.what,
    // Recorded releases have no chance in their items, and are run with the same seeds for what follows.
    runs: seeds.map((seed) => ({ seed, ...run(release, seed * 100 + at) })),
  })),
);
/** Counts of one seed: what a gate is judged by. */
const ofSeed = (at) => {
  const count = (kind, ends) =>
    results.filter((own) => own.kind === kind && ends.includes(own.runs[at].end)).length;
  return {
    caught: count('bad', ['failed']),
    undecided: count('bad', ['inconclusive']),
    missed: count('bad', ['promoted']),
    blocked: count('good', ['failed']),
    held: count('good', ['inconclusive']),
    passed: count('good', ['promoted']),
  };
};
const counts = seeds.map((seed, at) => ({ seed, ...ofSeed(at) }));
const first = counts[0];
console.log(
  `seed ${first.seed}: ${first.caught} of 20 bad releases caught before promotion, ${first.undecided} inconclusive, ${first.missed} promoted`,
);
console.log(
  `  of 20 good ones ${first.blocked} blocked, ${first.held} inconclusive, ${first.passed} promoted`,
);
for (const { kind, id, runs } of results) {
  const [{ end, stage = '', rule = '', requests }] = runs;
  console.log(
    `  ${kind}  ${id.padEnd(20)} ${end.padEnd(12)} ${stage.padEnd(8)} ${rule.padEnd(20)} ${requests} live requests`,
  );
}
const kept = results.map(({ runs, ...own }) => ({
  ...own,
  first: runs[0],
  ends: Object.groupBy(
    runs.map(({ end }) => end),
    (end) => end,
  ),
}));
for (const own of kept)
  own.ends = Object.fromEntries(Object.entries(own.ends).map(([end, list]) => [end, list.length]));
writeFileSync(
  DATA,
  `${JSON.stringify({ gate: gate.name, seeds: seeds.length, counts, releases: kept }, undefined, 1)}\n`,
);
const options = await resolveConfig(PAGE);
writeFileSync(
  PAGE,
  await format(gatePage({ counts, releases: kept, plan, seeds }), { ...options, filepath: PAGE }),
);
