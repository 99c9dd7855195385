// A reliability picture: predicted against measured loss, in bins of equal mass.

const SIZE = 420;
const MARGIN = 56;
const BINS = 15;

/** Bins of equal mass: mean predicted and mean measured loss. */
export function reliabilityBins(predicted, measured) {
  const order = Array.from(predicted.keys()).sort((a, b) => predicted[a] - predicted[b] || a - b);
  return Array.from({ length: BINS }, (_, bin) => {
    const members = order.slice(
      Math.floor((bin * order.length) / BINS),
      Math.floor(((bin + 1) * order.length) / BINS),
    );
    const mean = (values) => members.reduce((sum, at) => sum + values[at], 0) / members.length;
    return { predicted: mean(predicted), measured: mean(measured) };
  });
}

/** SVG of the bins of one or more series: `[{ name, colour, bins }]`, losses from 0 to `highest`, in `unit`. */
export function reliabilityPicture(series, highest, unit = 'nats') {
  const at = (loss) => ((Math.min(highest, Math.max(0, loss)) / highest) * (SIZE - 2 * MARGIN)).toFixed(1);
  const x = (loss) => (MARGIN + Number(at(loss))).toFixed(1);
  const y = (loss) => (SIZE - MARGIN - Number(at(loss))).toFixed(1);
  const ticks = Array.from({ length: Math.floor(highest) + 1 }, (_, tick) => tick);
  const axes = ticks.flatMap((tick) => [
    `<line x1="${x(tick)}" y1="${y(0)}" x2="${x(tick)}" y2="${y(highest)}" stroke="#e3e3e3"/>`,
    `<line x1="${x(0)}" y1="${y(tick)}" x2="${x(highest)}" y2="${y(tick)}" stroke="#e3e3e3"/>`,
    `<text x="${x(tick)}" y="${SIZE - MARGIN + 16}" text-anchor="middle">${tick}</text>`,
    `<text x="${MARGIN - 8}" y="${Number(y(tick)) + 4}" text-anchor="end">${tick}</text>`,
  ]);
  const points = series.flatMap(({ name, colour, bins }, index) => [
    `<polyline fill="none" stroke="${colour}" points="${bins.map((bin) => `${x(bin.predicted)},${y(bin.measured)}`).join(' ')}"/>`,
    ...bins.map(
      (bin) => `<circle cx="${x(bin.predicted)}" cy="${y(bin.measured)}" r="3.5" fill="${colour}"/>`,
    ),
    `<text x="${MARGIN + 10}" y="${MARGIN + 16 + 16 * index}" fill="${colour}">${name}</text>`,
  ]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE} ${SIZE}" font-family="sans-serif" font-size="12" role="img" aria-label="Measured against predicted loss in bins of equal mass">`,
    `<rect width="${SIZE}" height="${SIZE}" fill="#ffffff"/>`,
    ...axes,
    `<line x1="${x(0)}" y1="${y(0)}" x2="${x(highest)}" y2="${y(highest)}" stroke="#888888" stroke-dasharray="4 4"/>`,
    ...points,
    `<text x="${SIZE / 2}" y="${SIZE - 14}" text-anchor="middle">predicted loss, ${unit}</text>`,
    `<text x="16" y="${SIZE / 2}" text-anchor="middle" transform="rotate(-90 16 ${SIZE / 2})">measured loss, ${unit}</text>`,
    '</svg>',
    '',
  ].join('\n');
}
