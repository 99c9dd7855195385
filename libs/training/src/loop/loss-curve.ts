import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';

/** A point of a run. */
export interface CurvePoint {
  readonly step: number;
  readonly value: number;
}

const WIDTH = 720;
const HEIGHT = 360;
const MARGIN = { left: 56, right: 16, top: 32, bottom: 40 };

/** Curves of a run as one SVG: training loss (smoothed and as it was) and the losses of the validations. Equal points, equal bytes. */
export function lossCurve(
  title: string,
  training: readonly CurvePoint[],
  validation: readonly CurvePoint[],
): string {
  const all = [...training, ...validation].filter(({ value }) => Number.isFinite(value));
  const last = Math.max(1, ...all.map(({ step }) => step));
  const x = scaleLinear([0, last], [MARGIN.left, WIDTH - MARGIN.right]);
  const top = Math.max(1e-6, ...all.map(({ value }) => value));
  const y = scaleLinear([0, top], [HEIGHT - MARGIN.bottom, MARGIN.top]).nice();
  const path = line<CurvePoint>(
    ({ step }) => x(step),
    ({ value }) => y(value),
  ).digits(1);
  const drawn = (points: readonly CurvePoint[], style: string) =>
    points.length === 0 ? '' : `<path d="${path([...points]) ?? ''}" fill="none" ${style}/>`;
  const dots = validation
    .map(
      ({ step, value }) =>
        `<circle cx="${x(step).toFixed(1)}" cy="${y(value).toFixed(1)}" r="3" fill="#d9480f"/>`,
    )
    .join('');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#555" role="img" aria-label="${escaped(title)}">`,
    `<text x="${MARGIN.left}" y="18" font-size="14">${escaped(title)}</text>`,
    ...y
      .ticks(5)
      .map(
        (tick) =>
          `<path d="M${MARGIN.left},${y(tick).toFixed(1)}H${WIDTH - MARGIN.right}" stroke="#8884"/><text x="${MARGIN.left - 6}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${tick}</text>`,
      ),
    ...x
      .ticks(6)
      .map(
        (tick) =>
          `<text x="${x(tick).toFixed(1)}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${tick}</text>`,
      ),
    `<text x="${WIDTH - MARGIN.right}" y="${HEIGHT - 6}" text-anchor="end">step; loss in nats, line: training, dots: validation</text>`,
    drawn(training, 'stroke="#1c7ed6" stroke-opacity="0.25"'),
    drawn(smoothed(training), 'stroke="#1c7ed6" stroke-width="2"'),
    drawn(validation, 'stroke="#d9480f" stroke-width="2"'),
    dots,
    '</svg>',
    '',
  ].join('\n');
}

/** Exponential mean, each point weighing a twentieth. */
function smoothed(points: readonly CurvePoint[]): CurvePoint[] {
  let mean = points[0]?.value ?? 0;
  return points.map(({ step, value }) => {
    mean += (value - mean) / 20;
    return { step, value: mean };
  });
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
