// What the table of merges does not say: fewer tasks, texts of a task that was left out, two texts in one, texts of no task, and the
// shipped low-rank experts as parents. Each is a function of the experts of a seed that gives lines, one for each merge and task.
import { argMax, createRandom } from '@thalamus/tensor';
import { DECLARED } from './merged-experts.mjs';
import { Measuring } from './measuring.mjs';
import { MERGES, taskArithmetic, twin } from './merges.mjs';

const RANK_16 = { kind: 'rank', rank: 16 };
const COUNTS = [2, 4, 6, 8];
/** Two that have no cousin among the ten, and two that have. */
const LEFT_OUT = ['overruling', 'snips7', 'clinc10_domain', 'scicite3'];
const MIXED_TEXTS = 600;
/** Tokens of each half; with the first and the last token of the base they fill what a text may have. */
const HALF = 63;
const bits = (rows) => rows.map((isRight) => (isRight ? '1' : '0')).join('');

/** Declared sets first, so that no two of few tasks have the like of one another. */
async function taskCounts({ experts, measuringOf }) {
  const order = [...DECLARED, ...experts.map(({ task }) => task).filter((task) => !DECLARED.includes(task))];
  const lines = [];
  for (const count of COUNTS) {
    const m = measuringOf(experts.filter(({ task }) => order.indexOf(task) < count));
    for (const [merge, run] of [
      ['task arithmetic', MERGES['task arithmetic']],
      ['twin, rank 16', twin(RANK_16, { top: 2 })],
    ])
      for (const line of (await run(m)).lines) lines.push({ merge, tasks: count, ...line });
  }
  return lines;
}

/** The head of the task that was left out reads what a merge of the others makes of its texts. */
async function leftOut({ experts, measuringOf }) {
  const lines = [];
  for (const task of LEFT_OUT) {
    const left = experts.find((expert) => expert.task === task);
    const m = measuringOf(experts.filter((expert) => expert !== left));
    const own = measuringOf([left]);
    const alone = bits(await own.alone());
    const [first, ...others] = m.parents;
    const parents = [{ ...first, head: left.parent.head, labels: left.parent.labels }, ...others];
    const right = async (merge, split = 'test') => {
      const { rows, ids } = await own.rows(split);
      const { answers } = await m.answer({ ...merge, parents }, ids);
      return answers.map((answer, at) => left.parent.labels[argMax(answer.own[0])] === rows[at].label);
    };
    const add = async (merge, parts) =>
      lines.push({ merge, left: task, alone, trueHead: bits(await right(parts)) });
    const { shared } = await taskArithmetic(m);
    const { mixture } = m.mixture(await m.exclusive('task arithmetic', shared, RANK_16.rank), RANK_16);
    await add('base', { shared: m.base.read.weights });
    await add('average', { shared: await m.shared('linear', { weight: 1 }) });
    await add('task arithmetic', { shared });
    await add('ties', { shared: await m.shared('ties', { weight: 1, density: 0.2, shared: { lambda: 1 } }) });
    await add('one compressed expert by the router', { shared, mixture, top: 1 });
    await add('twin, rank 16', { shared, mixture, top: 2 });
    await add('twin, rank 16, all parents', { shared, mixture });
    let best;
    for (const { name, weights } of m.parents) {
      const chosen = (await right({ shared: weights }, 'choose')).filter(Boolean).length;
      if (!best || chosen > best.chosen) best = { name, weights, chosen };
    }
    await add('best single expert, by validation', { shared: best.weights });
  }
  return lines;
}

/** Two texts of two tasks in one: the heads of both are asked. */
async function mixedTexts({ seed, measuring: m }) {
  const { rows, ids } = await m.rows('test');
  const random = createRandom(seed + 1);
  const halves = Array.from({ length: MIXED_TEXTS }, () => {
    const one = random.below(rows.length);
    let other = random.below(rows.length);
    while (rows[other].task === rows[one].task) other = random.below(rows.length);
    return [one, other];
  });
  const inner = (at) => ids[at].slice(1, -1).slice(0, HALF);
  const both = halves.map(([one, other]) => [ids[one][0], ...inner(one), ...inner(other), ids[one].at(-1)]);
  const isRight = (answer, at) =>
    m.parents[rows[at].task].labels[argMax(answer.own[rows[at].task])] === rows[at].label;
  const lines = [];
  const add = async (merge, parts) => {
    const { answers } = await m.answer(parts, both);
    lines.push({
      merge,
      first: bits(answers.map((answer, at) => isRight(answer, halves[at][0]))),
      second: bits(answers.map((answer, at) => isRight(answer, halves[at][1]))),
    });
  };
  const { shared } = await taskArithmetic(m);
  const { mixture } = m.mixture(await m.exclusive('task arithmetic, 16', shared, RANK_16.rank), RANK_16);
  await add('task arithmetic', { shared });
  await add('one compressed expert by the router', { shared, mixture, top: 1 });
  await add('twin, rank 16', { shared, mixture, top: 2 });
  await add('twin, rank 16, all parents', { shared, mixture });
  // Each half by its own full expert: two models for one text.
  const ofExpert = [];
  for (const { weights } of m.parents) ofExpert.push((await m.answer({ shared: weights }, both)).answers);
  const byOwn = (half) =>
    bits(halves.map((pair, at) => isRight(ofExpert[rows[pair[half]].task][at], pair[half])));
  lines.push({ merge: 'both full experts, one after the other', first: byOwn(0), second: byOwn(1) });
  return lines;
}

/** Whether `abstain` tells texts of no task from those of the ten. */
async function noTask({ measuring: m, outOfScope }) {
  const { shared } = await taskArithmetic(m);
  const { ids } = await m.rows('test');
  const encoded = await m.base.tokens.encode(outOfScope, 128);
  const abstained = async (list) => bits((await m.answer({ shared }, list)).answers.map((it) => it.abstains));
  return [
    {
      merge: 'router of tokens',
      known: await abstained(ids),
      unknown: await abstained(encoded.map((it) => it.ids)),
    },
  ];
}

/** The experts that are shipped, low-rank branches over the base, as parents. */
async function shippedExperts({ shipped, measuringOf }) {
  const m = measuringOf(await shipped());
  const lines = [];
  for (const [merge, run] of [
    ['average', MERGES.average],
    ['task arithmetic', MERGES['task arithmetic']],
    ['ties', MERGES.ties],
    ['hard routing to the experts', MERGES['hard routing to the full experts']],
    ['twin, rank 16', twin(RANK_16, { top: 2 })],
    ['twin, rank 32', twin({ kind: 'rank', rank: 32 }, { top: 2 })],
  ])
    for (const line of (await run(m)).lines) lines.push({ merge, ...line });
  return lines;
}

export const STUDIES = {
  'shipped experts': shippedExperts,
  'mixed texts': mixedTexts,
  'no task': noTask,
  'task counts': taskCounts,
  'left out': leftOut,
};

/** What studies are given: everything of one seed. */
export function studyParts({ base, runtime, experts, seed, threads, shipped, outOfScope }) {
  const measuringOf = (some) => new Measuring({ base, runtime, experts: some, seed, threads });
  return { seed, experts, measuring: measuringOf(experts), measuringOf, shipped, outOfScope };
}
