import { IconCoins } from '@tabler/icons-react';
import type { CostCurve, RouterReport } from '../../api/types.js';
import { Empty } from '../../states/empty.js';
import { ChartCard, PlainTable } from './chart-card.js';
import { plotScale } from './plot-scale.js';
import { Grid } from './reliability-chart.js';
import { placeLabels } from './place-labels.js';
import { baselineName, lossText } from './router-facts.js';

const SIZE = { width: 460, height: 340 };
const MARGIN = { left: 50, right: 18, top: 14, bottom: 44 };
const AXES = {
  usdPerMillionTokens: 'USD per million tokens',
  strongShare: 'share of prompts to the better expert',
} as const;

interface Place {
  readonly key: string;
  readonly label: string;
  readonly cost: number;
  readonly loss: number;
  readonly kind: 'expert' | 'baseline';
}

/** Loss against cost: the router under growing weights of the cost, beside single experts and other ways to choose. */
export function CostChart({ report }: { readonly report: RouterReport }) {
  const { pareto, lossUnit } = report;
  const title = 'Loss against cost';
  if (!pareto)
    return (
      <ChartCard title={title} purpose="What a weight on the cost buys.">
        <Empty icon={<IconCoins size={22} />} title="Nothing to trade">
          The experts cost the same, or their prices are not known: a weight on the cost changes no choice.
        </Empty>
      </ChartCard>
    );
  const places = placesOf(report, pareto);
  const name = AXES[pareto.axis];
  return (
    <ChartCard
      title={title}
      purpose="The line is the router, cheaper towards the left as the cost weighs more."
      table={
        <PlainTable
          head={['', name, lossUnit === 'error' ? 'wrong answers' : 'loss']}
          rows={[
            ...pareto.points.map(({ weight, cost, loss }) => [
              weight === null ? 'router' : `router, weight ${Number(weight.toPrecision(3))}`,
              costText(cost, pareto),
              lossText(loss, lossUnit),
            ]),
            ...places.map(({ label, cost, loss }) => [
              label,
              costText(cost, pareto),
              lossText(loss, lossUnit),
            ]),
          ]}
        />
      }
    >
      <Plot pareto={pareto} places={places} name={name} unit={lossUnit} />
      <div className="chart-key">
        <span>
          <i className="key-line" aria-hidden /> the router
        </span>
        <span>
          <i className="key-dot" data-series="expert" aria-hidden /> one expert for all
        </span>
        {places.some(({ kind }) => kind === 'baseline') && (
          <span>
            <i className="key-ring" aria-hidden /> other ways to choose
          </span>
        )}
      </div>
    </ChartCard>
  );
}

function costText(cost: number, { axis }: CostCurve): string {
  return axis === 'strongShare' ? `${(100 * cost).toFixed(0)} %` : cost.toFixed(2);
}

/** Experts, and baselines that take none of them for all. */
function placesOf({ baselines }: RouterReport, pareto: CostCurve): Place[] {
  return [
    ...pareto.experts.map(({ expert, cost, loss }): Place => ({
      key: `expert ${expert}`,
      label: expert,
      cost,
      loss,
      kind: 'expert',
    })),
    ...baselines.flatMap((row): Place[] =>
      row.cost === null || row.expert !== null
        ? []
        : [{ key: row.name, label: baselineName(row), cost: row.cost, loss: row.loss, kind: 'baseline' }],
    ),
  ];
}

function Plot(props: {
  readonly pareto: CostCurve;
  readonly places: readonly Place[];
  readonly name: string;
  readonly unit: RouterReport['lossUnit'];
}) {
  const { pareto, places, unit } = props;
  const scaled = (loss: number) => (unit === 'error' ? 100 * loss : loss);
  const all = [...pareto.points, ...places];
  const costs = all.map(({ cost }) => cost);
  const losses = all.map(({ loss }) => scaled(loss));
  const x = plotScale(
    Math.min(0, ...costs),
    1.04 * Math.max(...costs),
    MARGIN.left,
    SIZE.width - MARGIN.right,
  );
  const room = (Math.max(...losses) - Math.min(...losses) || 1) * 0.12;
  const y = plotScale(
    Math.max(0, Math.min(...losses) - room),
    Math.max(...losses) + room,
    SIZE.height - MARGIN.bottom,
    MARGIN.top,
  );
  const curve = pareto.points.toSorted((a, b) => a.cost - b.cost);
  const best = pareto.points[0];
  const line = curve.map(({ cost, loss }) => ({ left: x.at(cost), top: y.at(scaled(loss)) }));
  const placed = placeLabels(
    places.map((place) => ({ ...place, left: x.at(place.cost), top: y.at(scaled(place.loss)) })),
    line,
    { left: MARGIN.left, right: SIZE.width, top: 0, bottom: SIZE.height - MARGIN.bottom },
  );
  return (
    <svg
      className="plot"
      viewBox={`0 0 ${SIZE.width} ${SIZE.height}`}
      role="img"
      aria-label={`Loss against ${props.name}: ${places.map((place) => `${place.label} ${costText(place.cost, pareto)}, ${lossText(place.loss, unit)}`).join('; ')}`}
      data-testid="cost-curve"
    >
      <Grid
        x={x}
        y={y}
        xName={props.name}
        yName={unit === 'error' ? 'wrong answers, %' : 'loss, nats'}
        size={SIZE}
        margin={MARGIN}
      />
      <polyline className="plot-curve" points={line.map(({ left, top }) => `${left},${top}`).join(' ')} />
      {line.map(({ left, top }, at) => (
        <circle key={at} className="plot-step" cx={left} cy={top} r={2.5} />
      ))}
      {placed.map(({ key, left, top, kind }) => (
        <circle key={key} className="plot-place" data-kind={kind} cx={left} cy={top} r={5} />
      ))}
      {best && <circle className="plot-start" cx={x.at(best.cost)} cy={y.at(scaled(best.loss))} r={6} />}
      {placed.map(
        ({ key, label, at }) =>
          at && (
            <text key={key} className="plot-label" x={at.left} y={at.top} textAnchor={at.anchor}>
              {label}
            </text>
          ),
      )}
    </svg>
  );
}
