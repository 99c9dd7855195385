import { Text } from '@mantine/core';
import type { ReleaseGate, RuleStanding } from '../../api/release-types.js';
import { ChartCard } from '../router/chart-card.js';
import { digestText, rulesToShow, whoText } from './release-facts.js';

/** The rules of a release's gate, what each says now, and who has approved. */
export function GateCard({ gate: { name, digest, rules, approvals } }: { readonly gate: ReleaseGate }) {
  return (
    <ChartCard
      title={`Gate ${name}`}
      purpose="What the candidate must keep, those first that keep it back. A rule that waits for its evidence is pending."
    >
      <ul className="gate-rules" data-testid="gate">
        {rulesToShow(rules).map((standing) => (
          <Rule key={standing.rule} standing={standing} />
        ))}
      </ul>
      {approvals.map(({ by, reason, at }) => (
        <Text size="xs" key={`${by} ${at ?? ''}`}>
          Approved by {whoText(by)}: {reason}
        </Text>
      ))}
      <Text size="xs" className="quiet">
        Document <code title={digest}>{digestText(digest)}</code>
      </Text>
    </ChartCard>
  );
}

function Rule({ standing: { rule, measure, data, status, sentence } }: { readonly standing: RuleStanding }) {
  return (
    <li data-status={status}>
      <div className="path-line">
        <Text size="sm" fw={600}>
          {rule}
        </Text>
        <Text size="xs" className="live-state">
          {status}
        </Text>
      </div>
      <Text size="xs" className="quiet">
        {sentence === '' ? `${measure} of ${data}` : sentence}
      </Text>
    </li>
  );
}
