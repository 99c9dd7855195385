import { Text } from '@mantine/core';
import { IconRulerMeasure } from '@tabler/icons-react';
import type { ComposedParent } from '../../api/composition-types.js';
import { Empty } from '../../states/empty.js';
import { ChartCard, PlainTable } from '../router/chart-card.js';
import { colourOf, lostPoints, pointsText, scoreShares, scoreTexts, shareText } from './composition-facts.js';

const TITLE = 'Score per task';
const PURPOSE =
  "Bars: share of a parent's rows that the composition gets right. The mark is the parent alone; the last number is the difference in points.";
const MASKED_PURPOSE =
  "Bars: geometric mean of the probabilities of what was hidden in the texts of each parent's domain. The mark is the parent alone; the last number is what the normalised score gains or lacks, in points.";

/** What the composition gets right on each parent's rows, beside the parent alone. */
export function TaskScores({ parents }: { readonly parents: readonly ComposedParent[] }) {
  if (parents.every(({ n }) => n === 0))
    return (
      <ChartCard title={TITLE} purpose="What it gets right on the rows of each parent.">
        <Empty icon={<IconRulerMeasure size={22} />} title="Not judged">
          Its parents had no held-out rows when it was made, so that nobody knows what it keeps of them.
        </Empty>
      </ChartCard>
    );
  return (
    <ChartCard
      title={TITLE}
      purpose={parents.some(({ nats }) => nats !== null) ? MASKED_PURPOSE : PURPOSE}
      table={
        <PlainTable
          head={['task of', 'rows', 'alone', 'composed', 'points', 'kept', 'given to it']}
          rows={parents.map((parent) => [
            parent.name,
            parent.n.toLocaleString('en'),
            scoreTexts(parent).alone,
            scoreTexts(parent).composed,
            pointsText(lostPoints(parent)),
            shareText(parent.normalized),
            shareText(parent.routedHere),
          ])}
        />
      }
    >
      <ul className="share-rows task-rows" data-testid="task-scores">
        {parents.map((parent, at) => (
          <TaskRow key={`${parent.name}@${parent.version}`} parent={parent} at={at} />
        ))}
      </ul>
    </ChartCard>
  );
}

function TaskRow({ parent, at }: { readonly parent: ComposedParent; readonly at: number }) {
  const { name } = parent;
  const { alone, composed } = scoreShares(parent);
  const texts = scoreTexts(parent);
  const lost = lostPoints(parent);
  return (
    <li data-colour={colourOf(at)}>
      <span className="task-name">
        <i className="key-dot" aria-hidden />
        <Text size="sm" truncate title={name}>
          {name}
        </Text>
      </span>
      <div className="share-track" aria-hidden>
        {composed !== null && <div className="share-bar" style={{ width: `${100 * composed}%` }} />}
        {alone !== null && <div className="share-mark" style={{ left: `${100 * alone}%` }} />}
      </div>
      <Text size="sm" className="number nowrap">
        {composed === null ? 'not judged' : texts.composed}
        {lost !== undefined && (
          <span className="task-lost" data-lost={lost >= 1}>
            {pointsText(lost)}
            <span className="unseen"> points against {texts.alone} of the parent alone</span>
          </span>
        )}
      </Text>
    </li>
  );
}
