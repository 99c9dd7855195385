import { Text } from '@mantine/core';
import type { RouterReport } from '../../api/types.js';
import { ChartCard, PlainTable } from './chart-card.js';
import { intervalText, lossText, regretBars, type RegretBar } from './router-facts.js';

/** Loss beyond the least possible, of the router and of simpler ways to choose. */
export function RegretChart({ report }: { readonly report: RouterReport }) {
  const bars = regretBars(report);
  const { lossUnit } = report;
  const longest = Math.max(...bars.map(({ regret, interval }) => interval?.[1] ?? regret), 1e-9);
  return (
    <ChartCard
      title="Regret"
      purpose={`Loss beyond the least possible on the same prompts${lossUnit === 'error' ? ', in points of wrong answers' : ''}. Shorter is better.`}
      table={
        <PlainTable
          head={['', 'regret', 'loss', 'worse than the router by, 95 %']}
          rows={bars.map((bar) => [
            bar.label,
            lossText(bar.regret, lossUnit),
            lossText(bar.loss, lossUnit),
            intervalText(bar.behind, lossUnit) ?? '',
          ])}
        />
      }
    >
      <ul className="regret-bars" data-testid="regret">
        {bars.map((bar) => (
          <Bar key={bar.key} bar={bar} longest={longest} unit={lossUnit} />
        ))}
      </ul>
    </ChartCard>
  );
}

function Bar(props: {
  readonly bar: RegretBar;
  readonly longest: number;
  readonly unit: RouterReport['lossUnit'];
}) {
  const { bar, longest, unit } = props;
  const width = (value: number) => `${(100 * Math.max(0, value)) / longest}%`;
  return (
    <li data-router={bar.isRouter}>
      <div className="regret-line">
        <Text size="sm" fw={bar.isRouter ? 650 : 400} className="regret-name">
          {bar.label}
        </Text>
        <Text size="sm" className="number nowrap" fw={bar.isRouter ? 650 : 400}>
          {lossText(bar.regret, unit)}
        </Text>
      </div>
      <div className="regret-track" aria-hidden>
        <div className="regret-bar" style={{ width: width(bar.regret) }} />
        {bar.interval && (
          <div
            className="whisker regret-whisker"
            style={{ left: width(bar.interval[0]), width: width(bar.interval[1] - bar.interval[0]) }}
          />
        )}
      </div>
      <Text size="xs" className="quiet">
        {bar.meaning}
      </Text>
    </li>
  );
}
