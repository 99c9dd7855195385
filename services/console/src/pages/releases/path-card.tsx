import { Text } from '@mantine/core';
import type { Release, Transition } from '../../api/release-types.js';
import { ChartCard } from '../router/chart-card.js';
import { digestText, stepName, whoText } from './release-facts.js';

/** Every step of the release: when, who, why, and what it rests on. Newest first. */
export function PathCard({ release: { history, plan } }: { readonly release: Release }) {
  const named = history.map((step, at) => ({
    step,
    name: stepName(history.slice(0, at + 1), plan?.steps ?? []),
  }));
  return (
    <ChartCard title="Path" purpose="Each step with who took it, why, and what it rests on. Newest first.">
      <ol className="path" reversed data-testid="path">
        {named.toReversed().map(({ step, name }, at) => (
          <Step key={history.length - at} step={step} name={name} />
        ))}
      </ol>
    </ChartCard>
  );
}

function Step(props: { readonly step: Transition; readonly name: string }) {
  const { state, at, by, reason, evidence } = props.step;
  return (
    <li data-state={state}>
      <div className="path-line">
        <Text size="sm" fw={650}>
          {props.name}
        </Text>
        <Text size="xs" className="quiet nowrap">
          {at === null ? '' : <time dateTime={at}>{new Date(at).toLocaleString()}</time>}
        </Text>
      </div>
      <Text size="sm" className="path-reason">
        {reason}
      </Text>
      <Text size="xs" className="quiet">
        by {whoText(by)}
      </Text>
      {evidence.length > 0 && (
        <details className="as-table">
          <summary>{evidence.length === 1 ? 'Evidence' : `Evidence, ${evidence.length} artifacts`}</summary>
          <ul className="path-evidence">
            {evidence.map((digest) => (
              <li key={digest}>
                <code title={digest}>{digestText(digest)}</code>
              </li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}
