import type { TestReading } from '../../api/release-types.js';
import { plotScale, tickText } from '../router/plot-scale.js';
import { testNames } from './release-facts.js';

const SIZE = { width: 340, height: 150 };
const MARGIN = { left: 42, right: 8, top: 8, bottom: 24 };

/** One test over its trials: band, estimate, limit. */
export function LivePlot({ series }: { readonly series: readonly TestReading[] }) {
  const last = series.at(-1);
  const first = series[0];
  if (!last || !first) return null;
  const bottom = SIZE.height - MARGIN.bottom;
  const top = Math.min(1, 1.1 * Math.max(1.6 * last.limit, last.high, 2 * last.rate));
  const y = plotScale(0, 100 * top, bottom, MARGIN.top, 3);
  // Where only one reading is known it stands at the right, with its band upright.
  const isOne = series.length === 1;
  const from = isOne ? 0 : first.trials;
  const x = plotScale(from, last.trials, MARGIN.left, SIZE.width - MARGIN.right, 3);
  const yAt = (share: number) => y.at(100 * Math.min(share, top));
  const points = (of: (reading: TestReading) => number) =>
    series.map((reading) => `${x.at(reading.trials)},${yAt(of(reading))}`);
  const band = [...points(({ high }) => high), ...points(({ low }) => low).toReversed()].join(' ');
  return (
    <svg
      className="plot live-plot"
      viewBox={`0 0 ${SIZE.width} ${SIZE.height}`}
      role="img"
      aria-label={`${testNames(last.test).title} over ${last.trials} trials, against the limit`}
    >
      <g className="plot-grid" aria-hidden>
        {y.ticks.map((tick) => (
          <g key={tick}>
            <line x1={MARGIN.left} x2={SIZE.width - MARGIN.right} y1={y.at(tick)} y2={y.at(tick)} />
            <text x={MARGIN.left - 6} y={y.at(tick) + 4} textAnchor="end">
              {tickText(tick, y)} %
            </text>
          </g>
        ))}
        <text x={MARGIN.left} y={SIZE.height - 6}>
          {from.toLocaleString('en')}
        </text>
        <text x={SIZE.width - MARGIN.right} y={SIZE.height - 6} textAnchor="end">
          {last.trials.toLocaleString('en')} trials
        </text>
      </g>
      <polygon className="live-band" points={band} />
      <polyline className="live-line" points={points(({ rate }) => rate).join(' ')} />
      <line
        className="live-limit"
        x1={MARGIN.left}
        x2={SIZE.width - MARGIN.right}
        y1={yAt(last.limit)}
        y2={yAt(last.limit)}
      />
      <line
        className="live-whisker"
        x1={x.at(last.trials)}
        x2={x.at(last.trials)}
        y1={yAt(last.low)}
        y2={yAt(last.high)}
      />
      <circle className="live-now" cx={x.at(last.trials)} cy={yAt(last.rate)} r={4} />
    </svg>
  );
}
