// The page about the default gate on seeded releases.
const ENDS = { failed: 'caught', inconclusive: 'inconclusive', promoted: 'promoted' };

/** Markdown from what `gate-results.mjs` found. */
export function gatePage({ counts, releases, plan, seeds }) {
  const [first] = counts;
  const isMet = first.caught >= 19 && first.undecided <= 2 && first.blocked === 0 && first.held <= 2;
  const mean = (name) => (counts.reduce((sum, own) => sum + own[name], 0) / counts.length).toFixed(2);
  const worst = (name, pick) => pick(...counts.map((own) => own[name]));
  return `# The default gate on seeded releases

Made by \`npm run results:updates-gate\`: 20 bad and 20 good releases, whose effects and numbers of items are in
[\`zoo/scripts/updates/gate-releases.json\`](../../zoo/scripts/updates/gate-releases.json), go through contracts, items offline, mirrored requests and a canary. Every stage is judged
by the gate that \`thalamus release gate show\` prints. Items go as files through the reader of \`thalamus release compare\`; contracts
through \`thalamus release diff\`'s kernel; each live request through the sequential monitors, which may end a stage after any of
${plan.defaults.requests} requests. Answers, errors and latencies are drawn, but for two releases whose answers were recorded of real models. Raw figures:
[\`data/updates-gate.json\`](data/updates-gate.json).

| | goal | seed ${first.seed} | mean of ${seeds.length} seeds | worst of them |
| --- | --- | --- | --- | --- |
| bad ones caught before promotion | >= 19 of 20 | **${first.caught}** | ${mean('caught')} | ${worst('caught', Math.min)} |
| bad ones inconclusive: not promoted, not refused | <= 2 | **${first.undecided}** | ${mean('undecided')} | ${worst('undecided', Math.max)} |
| bad ones promoted | | **${first.missed}** | ${mean('missed')} | ${worst('missed', Math.max)} |
| good ones blocked | 0 of 20 | **${first.blocked}** | ${mean('blocked')} | ${worst('blocked', Math.max)} |
| good ones inconclusive | <= 2 | **${first.held}** | ${mean('held')} | ${worst('held', Math.max)} |

The goal is ${isMet ? 'met' : 'NOT met'} at the first seed, which was fixed before.

${['bad', 'good'].map((kind) => table(kind, releases, seeds.length)).join('\n')}
A tail of slow requests was promoted by every seed before the rules \`mirrored-tail\` and \`canary-tail\` were written for it: pairs of requests do not see it. Feedback comes for one
request in ten, about 200 pairs of a canary, and an always-valid test needs more to be sure of a difference as small as 65 to 35; versions that are alike lie at the edge of
what it allows, and at most one in a hundred is blocked for it.

What this does not show: the sizes of effects were chosen by us, and a smaller one is caught less often; live streams have no drift of their own.
`;
}

function table(kind, releases, seeds) {
  const rows = releases.filter((own) => own.kind === kind);
  return `## ${kind === 'bad' ? 'Bad' : 'Good'} ones

| release | what | ended | by | live requests | of ${seeds} seeds |
| --- | --- | --- | --- | --- | --- |
${rows.map(({ id, what, first, ends }) => `| ${id} | ${what} | ${kind === 'good' && first.end === 'failed' ? 'blocked' : ENDS[first.end]} | ${first.rule ?? ''} | ${first.requests} | ${shares(ends)} |`).join('\n')}
`;
}

function shares(ends) {
  return Object.entries(ends)
    .map(([end, count]) => `${count} ${end}`)
    .join(', ');
}
