import { median, ratioOverRounds } from '../gateway/statistics.mjs';

/** What is to be reached, as ratios of texts a second. */
export const GOALS = { mlserver: 3, loop: 0.9 };
const MLSERVERS = ['mlserver', 'mlserver-batched'];

/** For each cell the middle of each side's figures, and ours over theirs over the rounds. */
export function summaryOf(raw, cells) {
  return cells.map((cell) => {
    const own = raw.filter(
      (row) => row.length === cell.length && row.concurrency === cell.concurrency && row.batch === cell.batch,
    );
    const of = (side, field) => own.filter((row) => row.side === side).map((row) => row[field]);
    const names = [...new Set(own.map(({ side }) => side))];
    const sides = Object.fromEntries(
      names.map((side) => [
        side,
        {
          textsPerSecond: median(of(side, 'textsPerSecond')),
          cpuMsPerText: median(of(side, 'cpuMsPerText')),
          p50Ms: median(of(side, 'p50Ms')),
        },
      ]),
    );
    const against = (side) => ratioOverRounds(of('thalamus', 'textsPerSecond'), of(side, 'textsPerSecond'));
    const others = names.filter((side) => side !== 'thalamus');
    const best = MLSERVERS.filter((side) => names.includes(side)).sort(
      (a, b) => sides[b].textsPerSecond - sides[a].textsPerSecond,
    )[0];
    return {
      ...cell,
      sides,
      against: Object.fromEntries(others.map((side) => [side, against(side)])),
      bestMlserver: best,
    };
  });
}

/** The table of a run, in Markdown. */
export function tableOf({ command, machine, medianLoad, sides }, summary) {
  const title = (name) => sides.find((side) => side.name === name)?.title ?? name;
  const hasPeer = summary.some(({ bestMlserver }) => bestMlserver);
  const lines = summary.map(({ length, concurrency, batch, sides: figures, against, bestMlserver }) => {
    const { loop, thalamus } = figures;
    const cells = [
      ...[length, concurrency, batch, number(loop.textsPerSecond), number(thalamus.textsPerSecond)],
      ratio(against.loop),
      `${number(loop.cpuMsPerText)} / ${number(thalamus.cpuMsPerText)}`,
    ];
    if (hasPeer)
      cells.push(
        number(figures[bestMlserver].textsPerSecond),
        ratio(against[bestMlserver]),
        title(bestMlserver),
      );
    return `| ${cells.join(' | ')} |`;
  });
  const head = [
    ...['texts', 'concurrency', 'texts a request', 'loop, texts/s', 'Thalamus, texts/s'],
    ...[`Thalamus / loop (goal ${GOALS.loop})`, 'CPU ms a text, loop / Thalamus'],
    ...(hasPeer
      ? ['MLServer, texts/s', `Thalamus / MLServer (goal ${GOALS.mlserver})`, 'its better way']
      : []),
  ];
  return [
    `\`${command}\`, ${machine}, load average ${number(medianLoad)}`,
    '',
    `| ${head.join(' | ')} |`,
    `| ${head.map(() => '---').join(' | ')} |`,
    ...lines,
  ].join('\n');
}

function ratio({ ratio: middle, low, high }) {
  return low === undefined ? number(middle) : `${number(middle)} [${number(low)}, ${number(high)}]`;
}

function number(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
