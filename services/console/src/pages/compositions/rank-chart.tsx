import type { CompositionReport } from '../../api/composition-types.js';
import { bytesText } from '../experts/expert-facts.js';
import { ChartCard, PlainTable } from '../router/chart-card.js';
import { placeLabels } from '../router/place-labels.js';
import { plotScale } from '../router/plot-scale.js';
import { Grid } from '../router/reliability-chart.js';
import { distinctRanks, fractionText, shareText } from './composition-facts.js';

const SIZE = { width: 460, height: 300 };
const MARGIN = { left: 50, right: 18, top: 14, bottom: 44 };
const MIB = 2 ** 20;
const TITLE = 'Rank against bytes';

/** What the low-rank branches cost and keep at each rank, and which was chosen. */
export function RankChart({ report }: { readonly report: CompositionReport | null }) {
  if (!report || report.ranks.length === 0)
    return (
      <ChartCard
        title={TITLE}
        purpose={
          report
            ? 'This method keeps nothing of its parents as low-rank branches: there is no rank to choose.'
            : 'Not recorded: its bundle holds no composition.json. One that is composed anew has it.'
        }
      >
        {null}
      </ChartCard>
    );
  const { ranks, chosen } = report;
  return (
    <ChartCard
      title={TITLE}
      purpose="Share of what sets the parents apart that low-rank branches keep, by the bytes that they take."
      table={
        <PlainTable
          head={['share of the full rank', 'bytes', 'energy kept']}
          rows={[
            ...ranks.map(({ fraction, bytes, energy }) => [
              fractionText(fraction),
              bytesText(bytes),
              shareText(energy),
            ]),
            ...(chosen ? [['chosen', bytesText(chosen.bytes), shareText(chosen.energy)]] : []),
          ]}
        />
      }
    >
      <Plot report={report} />
      <div className="chart-key">
        <span>
          <i className="key-line" aria-hidden /> ranks, as shares of the full one
        </span>
        {chosen && (
          <span>
            <i className="key-dot key-chosen" aria-hidden /> chosen: {bytesText(chosen.bytes)}, keeps{' '}
            {shareText(chosen.energy)}
          </span>
        )}
      </div>
    </ChartCard>
  );
}

function Plot({ report: { ranks: ladder, chosen } }: { readonly report: CompositionReport }) {
  const ranks = distinctRanks(ladder);
  const all = chosen ? [...ranks, chosen] : ranks;
  const mebibytes = all.map(({ bytes }) => bytes / MIB);
  const x = plotScale(0, 1.04 * Math.max(...mebibytes), MARGIN.left, SIZE.width - MARGIN.right);
  const lowest = Math.min(...all.map(({ energy }) => 100 * energy));
  const y = plotScale(Math.max(0, Math.min(lowest - 5, 90)), 102, SIZE.height - MARGIN.bottom, MARGIN.top);
  const placeOf = ({ bytes, energy }: { readonly bytes: number; readonly energy: number }) => ({
    left: x.at(bytes / MIB),
    top: y.at(100 * energy),
  });
  const line = ranks.map((rank) => ({ label: fractionText(rank.fraction), ...placeOf(rank) }));
  const mark = chosen ? { label: 'chosen', ...placeOf(chosen) } : undefined;
  const last = line.at(-1);
  const frame = { left: MARGIN.left, right: SIZE.width, top: 0, bottom: SIZE.height - MARGIN.bottom };
  const labelled = placeLabels(mark ? [mark, ...line] : line, line, frame);
  return (
    <svg
      className="plot"
      viewBox={`0 0 ${SIZE.width} ${SIZE.height}`}
      role="img"
      aria-label={`Energy kept by bytes: ${ranks.map(({ fraction, bytes, energy }) => `${fractionText(fraction)} of the rank, ${bytesText(bytes)}, ${shareText(energy)}`).join('; ')}`}
      data-testid="ranks"
    >
      <Grid x={x} y={y} xName="MiB of branches" yName="energy kept, %" size={SIZE} margin={MARGIN} />
      <polyline className="plot-curve" points={line.map(({ left, top }) => `${left},${top}`).join(' ')} />
      {/* What was chosen may lie beyond the ranks that were looked at. */}
      {mark && last && mark.left > last.left && (
        <line className="plot-diagonal" x1={last.left} y1={last.top} x2={mark.left} y2={mark.top} />
      )}
      {line.map(({ left, top, label }) => (
        <circle key={label} className="plot-step" cx={left} cy={top} r={3.5} />
      ))}
      {mark && <circle className="plot-chosen" cx={mark.left} cy={mark.top} r={6.5} />}
      {labelled.map(
        ({ label, at }) =>
          at && (
            <text key={label} className="plot-label" x={at.left} y={at.top} textAnchor={at.anchor}>
              {label}
            </text>
          ),
      )}
    </svg>
  );
}
