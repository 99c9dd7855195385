// Every merge of the reproduction: a function of a Measuring that gives its lines and facts.

/** Weights of task vectors that are tried on the validation rows. */
const WEIGHTS = [0.1, 0.2, 0.3, 0.5];
const TIES_LAMBDAS = [0.5, 1, 2];
const RANK_FRACTION = { kind: 'fraction', fraction: 0.1 };
/** Largest rank that is measured. */
const MOST = 64;

async function lined(m, merge, facts = {}) {
  const result = await m.run(merge);
  return { lines: await m.lines(result.rows), facts, result };
}

/** The candidate with the best score on the rows that choose. */
async function best(m, candidates) {
  let chosen;
  for (const { parameters, merge } of candidates) {
    const score = await m.chosenScore(await merge());
    if (!chosen || score > chosen.score) chosen = { parameters, merge, score };
  }
  return { ...(await chosen.merge()), parameters: chosen.parameters };
}

const fixed = (method, grid) => async (m) => {
  const { parameters, ...merge } = await best(
    m,
    grid.map((each) => ({ parameters: each, merge: async () => ({ shared: await m.shared(method, each) }) })),
  );
  return lined(m, merge, { parameters });
};

/** gamma of Task Arithmetic, chosen once for all that stand on it. */
export async function taskArithmetic(m) {
  return m.once('task arithmetic', async () => {
    const grid = WEIGHTS.map((weight) => ({
      parameters: { weight },
      merge: async () => ({ shared: await m.shared('task_arithmetic', { weight }) }),
    }));
    return best(m, grid);
  });
}

export const twin =
  (rule, options = {}) =>
  async (m) => {
    const { shared } = await taskArithmetic(m);
    const { mixture, factorBytes } = m.mixture(await m.exclusive('task arithmetic', shared, MOST), rule);
    const merge = { shared, mixture, top: 2, ...options };
    const { lines, facts, result } = await lined(m, merge, { rule, factorBytes });
    if (options.top !== undefined || options.named || options.passes === 2 || options.storage)
      return { lines, facts };
    return { lines, facts: { ...facts, parity: await m.parity(merge, result) } };
  };

/** Twin over another shared expert, at the paper's rank. */
const over = (key, sharedOf) => async (m) => {
  const shared = await sharedOf(m);
  const { mixture, factorBytes } = m.mixture(await m.exclusive(key, shared, 38), RANK_FRACTION);
  return lined(m, { shared, mixture, top: 2 }, { factorBytes });
};

export const MERGES = {
  average: fixed('linear', [{ weight: 1 }]),
  'task arithmetic': async (m) => {
    const { parameters, ...merge } = await taskArithmetic(m);
    return lined(m, merge, { parameters });
  },
  ties: fixed(
    'ties',
    TIES_LAMBDAS.map((lambda) => ({ weight: 1, density: 0.2, shared: { lambda } })),
  ),
  'dare linear': fixed(
    'dare_linear',
    WEIGHTS.map((weight) => ({ weight, density: 0.3 })),
  ),
  'dare ties': fixed(
    'dare_ties',
    TIES_LAMBDAS.map((lambda) => ({ weight: 1, density: 0.3, shared: { lambda } })),
  ),
  breadcrumbs: fixed(
    'breadcrumbs',
    WEIGHTS.map((weight) => ({ weight, density: 0.9, gamma: 0.01 })),
  ),
  pcb: fixed(
    'pcb',
    [1, 2].map((lambda) => ({ weight: 1, shared: { lambda } })),
  ),
  fisher: fixed('fisher', [{ weight: 1 }]),
  'hard routing to the full experts': async (m) => {
    // Labels that two tasks share would make a wrong parent right: this is a lower bound, tight where they share none.
    const alone = await m.alone();
    const { shared } = await taskArithmetic(m);
    const { rows } = await m.run({ shared });
    const hard = rows.map((row, at) => ({
      ...row,
      honest: row.routed === row.task && alone[at],
      trueHead: alone[at],
    }));
    return { lines: await m.lines(hard), facts: {} };
  },
  'twin, rank fraction 0.1': twin(RANK_FRACTION),
  'twin, rank 1': twin({ kind: 'rank', rank: 1 }),
  'twin, rank 2': twin({ kind: 'rank', rank: 2 }),
  'twin, rank 4': twin({ kind: 'rank', rank: 4 }),
  'twin, rank 8': twin({ kind: 'rank', rank: 8 }),
  'twin, rank 16': twin({ kind: 'rank', rank: 16 }),
  'twin, rank 64': twin({ kind: 'rank', rank: 64 }),
  'twin, rank 16, all parents': twin({ kind: 'rank', rank: 16 }, { top: undefined, all: true }),
  'hard routing to the compressed experts': twin(RANK_FRACTION, { top: 1 }),
  'twin, weights of the true task': twin(RANK_FRACTION, { named: true }),
  'twin, int8': twin(RANK_FRACTION, { storage: { kind: 'int8', blockSize: 32 } }),
  'twin, two passes': twin(RANK_FRACTION, { passes: 2 }),
  'base + dynamic': over('base', (m) => Promise.resolve(m.base.read.weights)),
  'an expert as shared': over('expert', (m) => Promise.resolve(m.parents[0].weights)),
  'twin over the average': over('average', (m) => m.shared('linear', { weight: 1 })),
};
