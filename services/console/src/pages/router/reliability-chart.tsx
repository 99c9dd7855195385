import type { ReliabilitySeries, RouterReport } from '../../api/types.js';
import { ChartCard, PlainTable } from './chart-card.js';
import { plotScale, tickText, type PlotScale } from './plot-scale.js';
import { lossText } from './router-facts.js';

const SIZE = { width: 460, height: 340 };
const MARGIN = { left: 50, right: 14, top: 12, bottom: 44 };
const NAMES = {
  all: 'every expert',
  chosen: 'the chosen expert',
  uncalibrated: 'before recalibration',
} as const;

/** Predicted against measured loss: on the diagonal a prediction is worth what it says. */
export function ReliabilityChart({ report }: { readonly report: RouterReport }) {
  const { reliability, lossUnit } = report;
  const unit = lossUnit === 'error' ? 'chance of a wrong answer' : 'loss, nats';
  return (
    <ChartCard
      title="Calibration"
      purpose="On the diagonal, what was predicted is what was measured. Upright lines are 95 % intervals."
      table={
        <PlainTable
          head={['of', 'predicted', 'measured', 'predictions']}
          rows={reliability.flatMap((series) =>
            series.bins.map(({ predicted, measured, n }) => [
              NAMES[series.of],
              predicted.toFixed(3),
              measured.toFixed(3),
              n.toLocaleString('en'),
            ]),
          )}
        />
      }
    >
      <Plot series={reliability} unit={unit} />
      <div className="chart-key">
        {reliability.map(({ of, calibrationError }) => (
          <span key={of}>
            <i className="key-dot" data-series={of} aria-hidden />
            {NAMES[of]}
            <span className="quiet"> · off by {lossText(calibrationError, lossUnit)}</span>
          </span>
        ))}
      </div>
    </ChartCard>
  );
}

function Plot({ series, unit }: { readonly series: readonly ReliabilitySeries[]; readonly unit: string }) {
  const values = series.flatMap(({ bins }) =>
    bins.flatMap(({ predicted, measured }) => [predicted, measured]),
  );
  const low = Math.min(0, ...values);
  const high = Math.max(...values) * 1.04;
  const x = plotScale(low, high, MARGIN.left, SIZE.width - MARGIN.right);
  const y = plotScale(low, high, SIZE.height - MARGIN.bottom, MARGIN.top);
  return (
    <svg
      className="plot"
      viewBox={`0 0 ${SIZE.width} ${SIZE.height}`}
      role="img"
      aria-label={`Measured against predicted ${unit}, in bins of equal mass`}
      data-testid="reliability"
    >
      <Grid x={x} y={y} xName={`predicted ${unit}`} yName="measured" size={SIZE} margin={MARGIN} />
      <line className="plot-diagonal" x1={x.at(x.low)} y1={y.at(y.low)} x2={x.at(x.high)} y2={y.at(y.high)} />
      {series.map(({ of, bins }) => (
        <g key={of} className="plot-series" data-series={of}>
          {bins.map(({ predicted, measured, error }, at) => (
            <g key={at}>
              {error !== null && (
                <line
                  className="plot-whisker"
                  x1={x.at(predicted)}
                  x2={x.at(predicted)}
                  y1={y.at(Math.max(y.low, measured - 1.96 * error))}
                  y2={y.at(Math.min(y.high, measured + 1.96 * error))}
                />
              )}
              <circle cx={x.at(predicted)} cy={y.at(measured)} r={4.5} />
            </g>
          ))}
        </g>
      ))}
    </svg>
  );
}

/** Lines and names of both axes. */
export function Grid(props: {
  readonly x: PlotScale;
  readonly y: PlotScale;
  readonly xName: string;
  readonly yName: string;
  readonly size: { readonly width: number; readonly height: number };
  readonly margin: {
    readonly left: number;
    readonly right: number;
    readonly top: number;
    readonly bottom: number;
  };
}) {
  const { x, y, size, margin } = props;
  const bottom = size.height - margin.bottom;
  const right = size.width - margin.right;
  return (
    <g className="plot-grid" aria-hidden>
      {y.ticks.map((tick) => (
        <g key={tick}>
          <line x1={margin.left} x2={right} y1={y.at(tick)} y2={y.at(tick)} />
          <text x={margin.left - 7} y={y.at(tick) + 4} textAnchor="end">
            {tickText(tick, y)}
          </text>
        </g>
      ))}
      {x.ticks.map((tick) => (
        <text key={tick} x={x.at(tick)} y={bottom + 17} textAnchor="middle">
          {tickText(tick, x)}
        </text>
      ))}
      <text className="plot-name" x={(margin.left + right) / 2} y={size.height - 6} textAnchor="middle">
        {props.xName} →
      </text>
      <text
        className="plot-name"
        transform={`translate(11 ${(margin.top + bottom) / 2}) rotate(-90)`}
        textAnchor="middle"
      >
        {props.yName} →
      </text>
    </g>
  );
}
