// A heat map: rows are experts, columns are domains; a cell is the darker the nearer it is to the best of its column.

const CELL = { width: 74, height: 30 };
const LEFT = 190;
const TOP = 150;
/** Room for the slanted name of the last column. */
const RIGHT = 80;
/** From the best of a column to a whole nat behind it. */
const [NEAR, FAR] = [
  [24, 90, 157],
  [240, 244, 249],
];
const WORST_NATS = 1;

/** SVG of `losses[row][column]` in nats; a frame marks the best of each column. */
export function heatMap(rows, columns, losses) {
  const best = columns.map((_, column) => Math.min(...losses.map((row) => row[column])));
  const width = LEFT + columns.length * CELL.width + RIGHT;
  const height = TOP + rows.length * CELL.height + 44;
  const at = (row, column) => [LEFT + column * CELL.width, TOP + row * CELL.height];
  const cells = losses.flatMap((values, row) =>
    values.map((loss, column) => {
      const behind = Math.min(1, (loss - best[column]) / WORST_NATS);
      const [x, y] = at(row, column);
      const colour = NEAR.map((near, part) => Math.round(near + behind * (FAR[part] - near)));
      const isBest = loss === best[column];
      return [
        `<rect x="${x}" y="${y}" width="${CELL.width}" height="${CELL.height}" fill="rgb(${colour.join(',')})" stroke="#ffffff"/>`,
        `<text x="${x + CELL.width / 2}" y="${y + 20}" text-anchor="middle" fill="${behind < 0.55 ? '#ffffff' : '#1c2733'}"${isBest ? ' font-weight="bold"' : ''}>${loss.toFixed(2)}</text>`,
        ...(isBest
          ? [
              `<rect x="${x + 2}" y="${y + 2}" width="${CELL.width - 4}" height="${CELL.height - 4}" fill="none" stroke="#f0a81c" stroke-width="2.5"/>`,
            ]
          : []),
      ].join('\n');
    }),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13" role="img" aria-label="Loss of each masked language model on the test text of each domain">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...columns.map((name, column) => {
      const [x] = at(0, column);
      return `<text transform="translate(${x + CELL.width / 2 + 5} ${TOP - 10}) rotate(-45)">${name}</text>`;
    }),
    ...rows.map(
      (name, row) => `<text x="${LEFT - 10}" y="${at(row, 0)[1] + 20}" text-anchor="end">${name}</text>`,
    ),
    ...cells,
    `<text x="${LEFT}" y="${height - 16}" fill="#4a5866">nats a hidden word piece; framed: the best of the column; pale: ${WORST_NATS} nat or more behind it</text>`,
    '</svg>',
    '',
  ].join('\n');
}
