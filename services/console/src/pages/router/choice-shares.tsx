import { Text } from '@mantine/core';
import type { RouterReport } from '../../api/types.js';
import { ChartCard } from './chart-card.js';
import { percent } from './router-facts.js';

/** Who is chosen how often, and who would have been best: the two agree where the router knows its experts. */
export function ChoiceShares({ report }: { readonly report: RouterReport }) {
  const longest = Math.max(...report.choices.flatMap(({ chosen, best }) => [chosen, best]), 1e-9);
  const width = (share: number) => `${(100 * share) / longest}%`;
  const rows = report.choices.toSorted((a, b) => b.chosen - a.chosen);
  return (
    <ChartCard
      title="Who is chosen"
      purpose="Share of prompts given to each expert; the mark is the share on which none does better."
    >
      <ul className="share-rows" data-testid="choices">
        {rows.map(({ expert, chosen, best }) => (
          <li key={expert}>
            <Text size="sm" truncate>
              {expert}
            </Text>
            <div className="share-track" aria-hidden>
              <div className="share-bar" style={{ width: width(chosen) }} />
              <div className="share-mark" style={{ left: width(best) }} />
            </div>
            <Text size="sm" className="number nowrap">
              {percent(chosen)}
              <span className="share-best">best {percent(best)}</span>
            </Text>
          </li>
        ))}
      </ul>
    </ChartCard>
  );
}
