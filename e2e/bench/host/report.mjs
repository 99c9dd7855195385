import { median, ratioOverRounds } from '../gateway/statistics.mjs';

/** What is to be reached, as ratios of texts a second. */
export const GOALS = { mlserver: 3, loop: 0.9 };
const isMlserver = (side) => side.startsWith('mlserver');
const isLoop = (side) => side.startsWith('loop');

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
    const against = (side, field) => ratioOverRounds(of('thalamus', field), of(side, field));
    const others = names.filter((side) => side !== 'thalamus');
    const bestOf = (isSo) =>
      names.filter(isSo).sort((a, b) => sides[b].textsPerSecond - sides[a].textsPerSecond)[0];
    return {
      ...cell,
      sides,
      against: Object.fromEntries(others.map((side) => [side, against(side, 'textsPerSecond')])),
      cpuAgainst: Object.fromEntries(others.map((side) => [side, against(side, 'cpuMsPerText')])),
      best: [bestOf(isLoop), bestOf(isMlserver)],
    };
  });
}

/** The table of a run, in Markdown. */
export function tableOf({ command, machine, medianLoad, sides }, summary) {
  const title = (name) => sides.find((side) => side.name === name)?.title ?? name;
  const rows = summary.flatMap(({ length, concurrency, batch, sides: figures, against, cpuAgainst, best }) =>
    Object.keys(figures)
      .filter((name) => best.includes(name) || !(isLoop(name) || isMlserver(name)))
      .map((name) => {
        const { textsPerSecond, cpuMsPerText, p50Ms } = figures[name];
        const compared = name === 'thalamus' ? ['', ''] : [ratio(against[name]), ratio(cpuAgainst[name])];
        const own = [number(textsPerSecond), number(cpuMsPerText), number(p50Ms)];
        return [length, concurrency, batch, title(name), ...own, ...compared];
      }),
  );
  const head = [
    ...['texts', 'at once', 'a request', 'side', 'texts/s', 'CPU ms a text', 'p50 ms'],
    ...['texts/s, Thalamus / side', 'CPU, Thalamus / side'],
  ];
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [
    `\`${command}\`, ${machine}, load average ${number(medianLoad)}`,
    `Goals: texts/s at least ${GOALS.loop} of the loop and ${GOALS.mlserver} times MLServer; of each its better way is shown, raw data has all.`,
    `Sessions of the host: ${sessionsOf(sides)}.`,
    '',
    line(head),
    line(head.map(() => '---')),
    ...rows.map(line),
  ].join('\n');
}

function sessionsOf(sides) {
  const { calibration } = sides.find(({ name }) => name === 'thalamus') ?? {};
  if (!calibration) return 'not calibrated, as others kept the machine busy, or as they were set';
  const { choice, children } = calibration;
  return `${choice.threads} threads, weights ${choice.weights}, arena ${choice.arena}, up to ${children} processes`;
}

function ratio({ ratio: middle, low, high }) {
  return low === undefined ? number(middle) : `${number(middle)} [${number(low)}, ${number(high)}]`;
}

function number(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
