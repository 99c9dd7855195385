const WIDTH = 720;
const HEIGHT = 320;
const MARGIN = { left: 56, right: 120, top: 32, bottom: 40 };
const COLOURS = ['#1c7ed6', '#d9480f', '#2f9e44', '#9c36b5', '#868e96'];

/** Resident memory over time as one SVG: a line for each process, named at its end. Equal samples, equal bytes. */
export function memoryPicture(title, series) {
  const all = series.flatMap(({ points }) => points);
  const last = Math.max(1, ...all.map(({ seconds }) => seconds));
  const top = Math.ceil((1.05 * Math.max(1, ...all.map(({ value }) => value))) / 50) * 50;
  const x = (seconds) => MARGIN.left + (seconds / last) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value) => HEIGHT - MARGIN.bottom - (value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const ticks = Array.from({ length: 6 }, (_, i) => i / 5);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#555" role="img" aria-label="${title}">`,
    `<text x="${MARGIN.left}" y="18" font-size="14">${title}</text>`,
    ...ticks.map((share) => {
      const at = y(share * top).toFixed(1);
      return `<path d="M${MARGIN.left},${at}H${WIDTH - MARGIN.right}" stroke="#8884"/><text x="${MARGIN.left - 6}" y="${(y(share * top) + 4).toFixed(1)}" text-anchor="end">${Math.round(share * top)}</text>`;
    }),
    ...ticks.map(
      (share) =>
        `<text x="${x(share * last).toFixed(1)}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${((share * last) / 60).toFixed(1)}</text>`,
    ),
    `<text x="${WIDTH - MARGIN.right}" y="${HEIGHT - 6}" text-anchor="end">minutes; resident memory, MiB</text>`,
    ...series.flatMap(({ name, points }, index) => {
      const colour = COLOURS[index % COLOURS.length];
      const end = points.at(-1);
      const path = points.map(({ seconds, value }) => `${x(seconds).toFixed(1)},${y(value).toFixed(1)}`);
      return [
        `<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
        `<text x="${(x(end.seconds) + 6).toFixed(1)}" y="${(y(end.value) + 4).toFixed(1)}" fill="${colour}">${name}</text>`,
      ];
    }),
    '</svg>',
    '',
  ].join('\n');
}
