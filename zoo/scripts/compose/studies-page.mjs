// Tables of the studies beside the main one, from kept lines.
import { mean } from './scores.mjs';
import { createRandom } from '@thalamus/tensor';

const RESAMPLES = 500;
const HARD = 'one compressed expert by the router';
const share = (bits) => [...bits].filter((bit) => bit === '1').length / bits.length;
const percent = (value) => (100 * value).toFixed(1);

/** Each study's table in Markdown, by name; empty where nothing was measured. */
export function studyTables(studied, { table, normalised, interval }) {
  const of = (study) => studied.filter((line) => line.study === study);
  const unique = (lines, key) => [...new Set(lines.map((line) => line[key]))];
  const seedsOf = (lines) => unique(lines, 'seed').length;

  const counted = of('task counts');
  const counts = unique(counted, 'tasks').sort((a, b) => a - b);
  const taskCounts = table(
    ['merge', ...counts.map((count) => `${count} tasks`), 'seeds'],
    unique(counted, 'merge').flatMap((merge) =>
      ['honest', 'trueHead'].map((protocol) => [
        `${merge}, ${protocol === 'honest' ? 'honest' : 'true head'}`,
        ...counts.map((count) =>
          interval(
            normalised(
              counted.filter((line) => line.merge === merge && line.tasks === count),
              protocol,
            ),
          ),
        ),
        seedsOf(counted),
      ]),
    ),
  );

  const left = of('left out');
  const leftTasks = unique(left, 'left');
  const leftOut = table(
    ['weights', ...leftTasks, 'mean', 'against one compressed expert', 'seeds'],
    [
      ['its own expert', (line) => line.alone, unique(left, 'merge')[0]],
      ...unique(left, 'merge').map((merge) => [merge, (line) => line.trueHead, merge]),
    ].map(([name, bits, merge]) => {
      const by = leftTasks.map((task) =>
        mean(
          left.filter((line) => line.left === task && line.merge === merge).map((line) => share(bits(line))),
        ),
      );
      const isOther = name === merge && merge !== HARD;
      const against = isOther ? differenceOf(gainsWhereLeft(left, merge)) : '';
      return [name, ...by.map(percent), percent(mean(by)), against, seedsOf(left)];
    }),
  );

  const mixed = of('mixed texts');
  const mixedTexts = table(
    ['weights', 'both halves, mean', 'first', 'second', 'against one compressed expert', 'seeds'],
    unique(mixed, 'merge').map((merge) => {
      const own = mixed.filter((line) => line.merge === merge);
      const hard = mixed.filter((line) => line.merge === HARD);
      const [first, second] = ['first', 'second'].map((half) => mean(own.map((line) => share(line[half]))));
      return [
        merge,
        percent((first + second) / 2),
        percent(first),
        percent(second),
        merge === HARD ? '' : differenceOf(gainsOfHalves(own, hard)),
        seedsOf(own),
      ];
    }),
  );

  const none = of('no task');
  const noTask = table(
    ['', 'texts', 'abstained'],
    ['known', 'unknown'].map((kind) => [
      kind === 'known' ? 'test rows of the ten sets' : 'of no task (CLINC)',
      none[0]?.[kind].length ?? '',
      none.length === 0 ? '' : `${percent(mean(none.map((line) => share(line[kind]))))} %`,
    ]),
  );

  const small = of('shipped experts');
  const shipped = table(
    ['merge', 'honest', 'true head', 'seeds'],
    unique(small, 'merge').map((merge) => {
      const own = small.filter((line) => line.merge === merge);
      return [
        merge,
        ...['honest', 'trueHead'].map((protocol) => interval(normalised(own, protocol))),
        seedsOf(own),
      ];
    }),
  );
  const measured = { taskCounts: counted, leftOut: left, mixedTexts: mixed, noTask: none, shipped: small };
  const drawn = { taskCounts, leftOut, mixedTexts, noTask, shipped };
  return Object.fromEntries(
    Object.entries(drawn).map(([name, text]) => [name, measured[name].length === 0 ? '' : text]),
  );
}

/** Halves of each text that are right, less those of the other's: 1, 0.5, 0, -0.5 or -1. */
function gainsOfHalves(own, other) {
  return own.flatMap((line) => {
    const against = other.find(({ seed }) => seed === line.seed);
    return [...line.first].map(
      (_, at) =>
        ['first', 'second'].reduce(
          (sum, half) => sum + Number(line[half][at]) - Number(against[half][at]),
          0,
        ) / 2,
    );
  });
}

/** The same of texts whose task was left out, which have as many rows each. */
function gainsWhereLeft(lines, merge) {
  return lines
    .filter((line) => line.merge === merge)
    .flatMap(({ seed, left, trueHead }) => {
      const against = lines.find(
        (line) => line.merge === HARD && line.seed === seed && line.left === left,
      ).trueHead;
      return [...trueHead].map((bit, at) => Number(bit) - Number(against[at]));
    });
}

/** Points of their mean, with a 95 % interval of texts drawn anew. */
function differenceOf(gains) {
  const random = createRandom(11);
  const drawn = Array.from({ length: RESAMPLES }, () =>
    mean(gains.map(() => gains[random.below(gains.length)])),
  ).sort((a, b) => a - b);
  const points = (value) => `${value >= 0 ? '+' : ''}${percent(value)}`;
  return `${points(mean(gains))} (${points(drawn[Math.floor(0.025 * RESAMPLES)])} to ${points(drawn[Math.floor(0.975 * RESAMPLES)])})`;
}
