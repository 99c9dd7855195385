// A picture of quality against what it costs: lines for routers, dots for ways to choose that have one cost.

const [WIDTH, HEIGHT, MARGIN] = [572, 380, 68];
const RIGHT = 150;

/**
 * SVG of `lines: [{ name, colour, points: [{ cost, quality }] }]` and `dots: [{ name, cost, quality }]`. The axes hold all of them; `unit`
 * says what a cost is.
 */
export function curvePicture({ title, unit, lines, dots }) {
  const all = [...lines.flatMap(({ points }) => points), ...dots];
  const range = (of) => [Math.min(...all.map(of)), Math.max(...all.map(of))];
  const scale = ([low, high], from, to) => {
    const pad = 0.04 * (high - low || 1);
    return (value) => from + ((value - low + pad) / (high - low + 2 * pad)) * (to - from);
  };
  const [costs, qualities] = [range(({ cost }) => cost), range(({ quality }) => quality)];
  const x = scale(costs, MARGIN, WIDTH - RIGHT);
  const y = scale(qualities, HEIGHT - MARGIN, 24);
  const ticks = ([low, high]) => Array.from({ length: 5 }, (_, at) => low + (at / 4) * (high - low));
  const f = (value) => value.toFixed(1);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" role="img" aria-label="${title}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    ...ticks(costs).flatMap((cost) => [
      `<line x1="${f(x(cost))}" y1="24" x2="${f(x(cost))}" y2="${HEIGHT - MARGIN}" stroke="#e3e3e3"/>`,
      `<text x="${f(x(cost))}" y="${HEIGHT - MARGIN + 18}" text-anchor="middle">${cost.toFixed(2)}</text>`,
    ]),
    ...ticks(qualities).flatMap((quality) => [
      `<line x1="${MARGIN}" y1="${f(y(quality))}" x2="${WIDTH - RIGHT}" y2="${f(y(quality))}" stroke="#e3e3e3"/>`,
      `<text x="${MARGIN - 8}" y="${f(y(quality) + 4)}" text-anchor="end">${quality.toFixed(3)}</text>`,
    ]),
    ...lines.flatMap(({ name, colour, points }, at) => [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.map(({ cost, quality }) => `${f(x(cost))},${f(y(quality))}`).join(' ')}"/>`,
      `<line x1="${WIDTH - RIGHT + 14}" y1="${36 + 18 * at}" x2="${WIDTH - RIGHT + 34}" y2="${36 + 18 * at}" stroke="${colour}" stroke-width="2"/>`,
      `<text x="${WIDTH - RIGHT + 40}" y="${40 + 18 * at}">${name}</text>`,
    ]),
    ...dots.flatMap(({ name, cost, quality }, at) => {
      const row = 48 + 18 * (lines.length + at);
      const mark = String.fromCharCode(97 + at);
      return [
        `<circle cx="${f(x(cost))}" cy="${f(y(quality))}" r="4" fill="#444444"/>`,
        `<text x="${f(x(cost) + 7)}" y="${f(y(quality) - 5)}" fill="#444444">${mark}</text>`,
        `<text x="${WIDTH - RIGHT + 14}" y="${row}" fill="#444444">${mark}  ${name}</text>`,
      ];
    }),
    `<text x="${(MARGIN + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${unit}</text>`,
    `<text x="14" y="${(24 + HEIGHT - MARGIN) / 2}" text-anchor="middle" transform="rotate(-90 14 ${(24 + HEIGHT - MARGIN) / 2})">quality</text>`,
    '</svg>',
    '',
  ].join('\n');
}
