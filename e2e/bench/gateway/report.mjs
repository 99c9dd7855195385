import { median, ratioOverRounds } from './statistics.mjs';

/** What the figures should reach against each peer: ours over theirs, at most or at least. */
const GOALS = {
  portkey: { cpuMsPerRequest: { atMost: 0.5 }, requestsPerSecond: { atLeast: 3 }, addedP50Ms: { atMost: 1 } },
  litellm: { cpuMsPerRequest: { atMost: 0.1 }, addedP50Ms: { atMost: 1 } },
};
const FIGURES = {
  cpuMsPerRequest: 'CPU per request',
  requestsPerSecond: 'requests/s',
  addedP50Ms: 'added p50',
};

/** Medians over the rounds for each contender and concurrency, and ratios of ours to each peer with their intervals. */
export function summaryOf(rows, contenders) {
  const withAdded = rows.map((row) => {
    const base = rows.find(
      (other) =>
        other.contender === 'direct' &&
        other.round === row.round &&
        other.stream === row.stream &&
        other.concurrency === row.concurrency,
    );
    return { ...row, addedP50Ms: row.p50Ms - base.p50Ms, addedP99Ms: row.p99Ms - base.p99Ms };
  });
  const cells = groups(withAdded).flatMap(({ stream, concurrency, own }) =>
    contenders.map(({ name }) =>
      cell(
        name,
        stream,
        concurrency,
        own.filter((row) => row.contender === name),
      ),
    ),
  );
  const ratios = groups(withAdded).flatMap(({ stream, concurrency, own }) =>
    ['thalamus', 'thalamus-new'].flatMap((ours) =>
      Object.entries(GOALS).flatMap(([peer, goals]) =>
        Object.keys(FIGURES).flatMap((figure) => {
          const [mine, theirs] = [ours, peer].map((name) => own.filter((row) => row.contender === name));
          if (theirs.length === 0) return [];
          const of = (list) => list.map((row) => row[figure]);
          const result = ratioOverRounds(of(mine), of(theirs));
          if (result === undefined) return [];
          const goal = goals[figure];
          const isMet =
            goal && (goal.atMost === undefined ? result.ratio >= goal.atLeast : result.ratio <= goal.atMost);
          return [{ stream, concurrency, ours, peer, figure, ...result, ...(goal ? { goal, isMet } : {}) }];
        }),
      ),
    ),
  );
  return { cells, ratios };
}

function groups(rows) {
  return [false, true].flatMap((stream) =>
    [...new Set(rows.map(({ concurrency }) => concurrency))].map((concurrency) => ({
      stream,
      concurrency,
      own: rows.filter((row) => row.stream === stream && row.concurrency === concurrency),
    })),
  );
}

function cell(name, stream, concurrency, rows) {
  const middle = (figure) => {
    const values = rows.map((row) => row[figure]).filter(Number.isFinite);
    return values.length > 0 ? median(values) : undefined;
  };
  return {
    contender: name,
    stream,
    concurrency,
    requestsPerSecond: middle('requestsPerSecond'),
    cpuMsPerRequest: middle('cpuMsPerRequest'),
    addedP50Ms: middle('addedP50Ms'),
    addedP99Ms: middle('addedP99Ms'),
    firstP50Ms: middle('firstP50Ms'),
    residentMb: middle('residentMb'),
    answers: rows.reduce((total, { answers }) => total + answers, 0),
    errors: rows.reduce((total, { errors }) => total + errors, 0),
  };
}

/** The summary as Markdown. */
export function tableOf({ command, date, machine, endLoad, contenders, cells, ratios }) {
  const title = (name) => contenders.find((one) => one.name === name)?.title ?? name;
  const tables = [false, true].map((stream) => {
    const own = cells.filter((one) => one.stream === stream);
    const head = `### ${stream ? 'Streamed' : 'Whole answers'}\n\nMedians over the rounds; concurrency 1 / 16 / 64.\n\n`;
    const rows = contenders.map(({ name }) => {
      const mine = own.filter(({ contender }) => contender === name);
      const line = (figure, digits) =>
        mine.some((one) => one[figure] !== undefined)
          ? mine.map((one) => one[figure]?.toFixed(digits) ?? 'none').join(' / ')
          : '';
      const errors = mine.reduce((total, one) => total + one.errors, 0);
      const answers = mine.reduce((total, one) => total + one.answers, 0);
      const added = name === 'direct' ? ['', ''] : [line('addedP50Ms', 2), line('addedP99Ms', 2)];
      const memory = mine.at(-1)?.residentMb?.toFixed(0) ?? '';
      return `| ${[title(name), line('requestsPerSecond', 0), line('cpuMsPerRequest', 2), ...added, memory, `${errors} of ${answers + errors}`].join(' | ')} |`;
    });
    return `${head}| | requests/s | CPU ms per request | added p50 ms | added p99 ms | RSS MB | errors |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n${rows.join('\n')}\n`;
  });
  return [
    `Command: \`${command}\`, ${date.slice(0, 16).replace('T', ' ')} UTC. ${machine.model}, ${machine.cores} cores shared by all that is measured, Node ${machine.node}; load average ${machine.load.toFixed(1)} at the start, ${endLoad.toFixed(1)} at the end.\n`,
    ...tables,
    ...[false, true].map((stream) => ratioTable(stream, ratios, title)),
  ].join('\n');
}

/** A line for each pair and figure, with the ratios at every concurrency beside one another. */
function ratioTable(stream, ratios, title) {
  const own = ratios.filter((one) => one.stream === stream);
  if (own.length === 0) return '';
  const concurrencies = [...new Set(own.map(({ concurrency }) => concurrency))];
  const keyOf = ({ ours, peer, figure }) => [ours, peer, figure].join();
  const rows = [...new Set(own.map(keyOf))].map((key) => {
    const mine = own.filter((one) => keyOf(one) === key);
    const [{ ours, peer, figure, goal }] = mine;
    const at = concurrencies.map((concurrency) => {
      const one = mine.find((other) => other.concurrency === concurrency);
      return one === undefined ? 'none' : withInterval(one);
    });
    return `| ${[title(ours), title(peer), FIGURES[figure], ...at, wantedOf(goal), verdictOf(mine, goal)].join(' | ')} |`;
  });
  return `### Ratios, ${stream ? 'streamed' : 'whole answers'}\n\nOurs / theirs of the same round: geometric mean over the rounds and its 95 % interval, by concurrency.\n\n| ours | theirs | figure | ${concurrencies.join(' | ')} | goal | |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

function withInterval({ ratio, low, high }) {
  return low === undefined
    ? ratio.toFixed(2)
    : `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
}

function wantedOf(goal) {
  if (goal === undefined) return '';
  return goal.atMost === undefined ? `at least ${goal.atLeast}` : `at most ${goal.atMost}`;
}

function verdictOf(ratios, goal) {
  if (goal === undefined) return '';
  const missed = ratios.filter(({ isMet }) => !isMet).map(({ concurrency }) => concurrency);
  return missed.length === 0 ? 'met' : `missed at ${missed.join(', ')}`;
}
