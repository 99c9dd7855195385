// The page about prompts that are sent back to the old version of a remote model.
import { readFileSync } from 'node:fs';

const WAYS = {
  new: 'the new version alone',
  old: 'the old version alone',
  routed: '**the router**',
  kind: 'control: by the true kind',
  oracle: 'control: whoever is right',
};

const percent = (value) => `${(100 * value).toFixed(1)} %`;
const points = (value) => `${value >= 0 ? '+' : ''}${(100 * value).toFixed(1)}`;
const ends = (of, { value, mean = value, low, high }) =>
  mean === null ? '-' : `${of(mean)} (${of(low)} to ${of(high)})`;
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** Markdown from what `upstream-results.mjs` found. */
export function upstreamPage({ pairs, seeds, origin }) {
  const says = readFileSync(new URL('upstream-says.md', import.meta.url), 'utf8').split('\n---\n');
  return `# Prompts sent back to the old version of a remote model

Made by \`npm run results:upstream-repair -- --data DIR\`, which calls the kernel of \`thalamus release reroute\` ([how](../how-to/repair-an-update.md#a-remote-model)): two
recorded updates, ${pairs[0].prompts} prompts each of three kinds, judged answers of ${origin.split(':')[0]} (Apache-2.0). Five folds by prompt, near-duplicates in one (${pairs[0].groups} groups: ranges of numbers that overlap are one);
encoder \`fast\`; learner and margin are chosen inside of each fold, by five folds of its own. Figures are means over the seeds ${seeds.join(', ')}; for the intervals of 95 % a
prompt is drawn with what all seeds made of it. Raw figures, and who was sent back: [\`data/upstream-repair.json\`](data/upstream-repair.json).

${says[0].trim()}

${pairs.map(pairPart).join('\n')}
## Kinds that were not measured

The record holds prompts of two more kinds, without judged answers. Where a router that was fitted on all judged prompts (seed ${seeds[0]}) sends them:

${table(
  ['update', 'fitted margin', ...Object.keys(pairs[0].elsewhere).map((kind) => `\`${kind}\` sent back`)],
  pairs.map(({ old, new: own, whole, elsewhere }) => [
    `${old} → ${own}`,
    whole.margin.share === 0 ? 'none is sent back' : String(whole.margin.margin),
    ...Object.values(elsewhere).map(({ n, sentBack }) => `${percent(sentBack)} of ${n}`),
  ]),
)}

${says[1].trim()}
`;
}

function pairPart({ old, new: own, figures, beyondKind, seeds, runs }) {
  return `## ${old} → ${own}

${table(
  [
    'who answers',
    'right',
    'NFR',
    'PFR',
    'sent back',
    'right, less the new alone',
    'right, less the old alone',
  ],
  Object.entries(WAYS).map(([way, name]) => {
    const { accuracy, nfr, pfr, sentBack, accuracyChange, beyondOld } = figures[way].all;
    return [
      name,
      percent(accuracy),
      percent(nfr),
      percent(pfr),
      percent(sentBack),
      way === 'new' ? '' : ends(points, accuracyChange),
      way === 'old' ? '' : ends(points, beyondOld),
    ];
  }),
)}

${table(
  ['kind', 'n', 'old right', 'new right', 'routed right', 'NFR', 'cut of it (95 %)', 'PFR', 'sent back'],
  [['all', figures.routed.all], ...Object.entries(figures.routed.kinds)].map(([kind, routed]) => {
    const of = (way) => (kind === 'all' ? figures[way].all : figures[way].kinds[kind]);
    return [
      kind,
      routed.n / runs.length,
      percent(of('old').accuracy),
      percent(of('new').accuracy),
      percent(routed.accuracy),
      `${percent(routed.nfrBefore)} → ${percent(routed.nfr)}`,
      ends(percent, routed.cut),
      `${percent(routed.pfrBefore)} → ${percent(routed.pfr)}`,
      percent(routed.sentBack),
    ];
  }),
)}

${table(
  ['seed', 'right', 'NFR', 'cut', 'sent back', 'margins of the folds', 'verdict', 'beside the old alone'],
  seeds.map(({ seed, accuracy, nfr, cut, sentBack, verdict, credit }, at) => [
    seed,
    percent(accuracy),
    percent(nfr),
    ends(percent, cut),
    percent(sentBack),
    runs[at].folds.map(({ margin }) => (margin >= 2 ? 'none' : margin)).join(', '),
    verdict,
    credit,
  ]),
)}

Right answers of the router less those of routing by the true kind: ${ends(points, beyondKind)} points.
`;
}
