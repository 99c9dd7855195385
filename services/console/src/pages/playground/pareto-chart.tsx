import { Text } from '@mantine/core';
import { costPlane, type CostPoint, type WeighedExpert } from './decision-math.js';

const WIDTH = 520;
const HEIGHT = 210;
const MARGIN = { left: 56, right: 16, top: 14, bottom: 44 };
/** Room around the points, as a share of what they span. */
const ROOM = 0.16;
/** A name to the left of its point where there is no room to the right. */
const FLIP_AT = 0.62;

/**
 * Each expert by what it costs and how much it is expected to lose. Points on the line are beaten by none in both; the
 * slanted line joins what is as good as the winner under the weights: the steeper, the more cost counts.
 */
export function ParetoChart(props: { readonly experts: readonly WeighedExpert[] }) {
  const { points, slope } = costPlane(props.experts);
  const x = scale(
    points.map(({ cost }) => cost),
    MARGIN.left,
    WIDTH - MARGIN.right,
  );
  const y = scale(
    points.map(({ loss }) => loss),
    HEIGHT - MARGIN.bottom,
    MARGIN.top,
  );
  const best = points[0];
  if (!best) return null;
  const total = best.loss + slope * best.cost;
  const front = points.filter(({ isOnFront }) => isOnFront).sort((a, b) => a.cost - b.cost);
  return (
    <figure className="pareto">
      <Text component="figcaption" size="sm" fw={600} mb={4}>
        Loss against cost
      </Text>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={spoken(points)}>
        <clipPath id="pareto-plane">
          <rect
            x={MARGIN.left}
            y={MARGIN.top}
            width={WIDTH - MARGIN.left - MARGIN.right}
            height={HEIGHT - MARGIN.top - MARGIN.bottom}
          />
        </clipPath>
        <Axes x={x} y={y} />
        <g clipPath="url(#pareto-plane)">
          <line
            className="pareto-equal"
            x1={x.at(x.low)}
            y1={y.at(total - slope * x.low)}
            x2={x.at(x.high)}
            y2={y.at(total - slope * x.high)}
          />
        </g>
        <polyline
          className="pareto-front"
          points={front.map(({ cost, loss }) => `${x.at(cost)},${y.at(loss)}`).join(' ')}
        />
        {points.map((point, index) => (
          <Point
            key={point.expert}
            point={point}
            isBest={index === 0}
            left={x.at(point.cost)}
            top={y.at(point.loss)}
          />
        ))}
      </svg>
    </figure>
  );
}

interface Scale {
  readonly low: number;
  readonly high: number;
  readonly at: (value: number) => number;
}

function scale(values: readonly number[], from: number, to: number): Scale {
  const least = Math.min(...values);
  const most = Math.max(...values);
  const span = most - least || 1;
  const low = least - span * ROOM;
  const high = most + span * ROOM;
  return { low, high, at: (value) => from + ((value - low) / (high - low)) * (to - from) };
}

function Axes({ x, y }: { readonly x: Scale; readonly y: Scale }) {
  const bottom = HEIGHT - MARGIN.bottom;
  return (
    <g className="pareto-axes">
      <path d={`M${MARGIN.left} ${MARGIN.top}V${bottom}H${WIDTH - MARGIN.right}`} />
      <text x={MARGIN.left - 6} y={y.at(y.high) + 10} textAnchor="end">
        {y.high.toFixed(2)}
      </text>
      <text x={MARGIN.left - 6} y={bottom} textAnchor="end">
        {Math.max(0, y.low).toFixed(2)}
      </text>
      <text x={MARGIN.left} y={bottom + 18}>
        {Math.max(0, x.low).toFixed(2)}
      </text>
      <text x={WIDTH - MARGIN.right} y={bottom + 18} textAnchor="end">
        {x.high.toFixed(2)}
      </text>
      <text x={(MARGIN.left + WIDTH - MARGIN.right) / 2} y={bottom + 36} textAnchor="middle">
        cost, weighed →
      </text>
      <text transform={`translate(16 ${(MARGIN.top + bottom) / 2}) rotate(-90)`} textAnchor="middle">
        loss →
      </text>
    </g>
  );
}

function Point(props: {
  readonly point: CostPoint;
  readonly isBest: boolean;
  readonly left: number;
  readonly top: number;
}) {
  const flip = props.left > WIDTH * FLIP_AT;
  return (
    <g className="pareto-point" data-best={props.isBest} data-front={props.point.isOnFront}>
      <circle cx={props.left} cy={props.top} r={props.isBest ? 6 : 4.5} />
      <text x={props.left + (flip ? -6 : 6)} y={props.top - 8} textAnchor={flip ? 'end' : 'start'}>
        {props.point.expert}
      </text>
    </g>
  );
}

function spoken(points: readonly CostPoint[]): string {
  return `Experts by cost and predicted loss: ${points
    .map(({ expert, cost, loss }) => `${expert} cost ${cost.toFixed(2)}, loss ${loss.toFixed(2)}`)
    .join('; ')}`;
}
