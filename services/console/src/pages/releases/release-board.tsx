import { Stack } from '@mantine/core';
import type { Release } from '../../api/release-types.js';
import { Figure } from '../overview/figure.js';
import { FlipSlices } from './flip-slices.js';
import { FlipTable } from './flip-table.js';
import { GateCard } from './gate-card.js';
import { LiveCard } from './live-card.js';
import { PathCard } from './path-card.js';
import type { WatchedRelease } from './readings.js';
import { percentText, rateText } from './release-facts.js';
import { ReleaseHead } from './release-head.js';

/** One release: where it stands and what moves it, figures, what live traffic says, its path, and what flipped. */
export function ReleaseBoard({ watched: { release, readings } }: { readonly watched: WatchedRelease }) {
  const live = <LiveCard release={release} readings={readings} />;
  // Live tests stand beside the path where there is nothing else to show there.
  const isLiveAbove = release.comparison === null && readings.length > 0;
  return (
    <section aria-label={`Release ${release.id}`} data-testid="release">
      <Stack gap="md">
        <ReleaseHead release={release} />
        {(release.comparison ?? release.live) && <Figures release={release} />}
        <div className="chart-columns">
          <PathCard release={release} />
          {isLiveAbove ? live : <FlipSlices comparison={release.comparison} />}
        </div>
        {release.gate && <GateCard gate={release.gate} />}
        {!isLiveAbove && live}
        <FlipTable release={release} />
      </Stack>
    </section>
  );
}

function Figures({ release: { comparison, live } }: { readonly release: Release }) {
  const overall = comparison?.overall ?? null;
  const nothing = 'nothing was compared offline';
  return (
    <div className="figures">
      <Figure
        label="Negative flips"
        value={overall ? percentText(overall.negativeFlips.value) : '–'}
        note={
          overall && comparison
            ? `${rangeText(overall.negativeFlips)}; the budget is ${percentText(comparison.negativeFlipBudget)}`
            : nothing
        }
      />
      <Figure
        label="Accuracy before"
        value={overall ? percentText(overall.oldAccuracy.value) : '–'}
        note={
          overall ? `${rangeText(overall.oldAccuracy)}, ${overall.n.toLocaleString('en')} items` : nothing
        }
      />
      <Figure
        label="Accuracy after"
        value={overall ? percentText(overall.newAccuracy.value) : '–'}
        note={
          overall
            ? `${rangeText(overall.newAccuracy)}; ${percentText(overall.backwardTrust)} of what was right still is`
            : nothing
        }
      />
      <Figure
        label="Live requests"
        value={live ? (live.mirrored + live.candidateRequests).toLocaleString('en') : '–'}
        note={
          live
            ? `${live.mirrored.toLocaleString('en')} mirrored, ${live.candidateRequests.toLocaleString('en')} answered for callers, ${live.feedback.toLocaleString('en')} with feedback`
            : 'nobody counts now'
        }
      />
    </div>
  );
}

const rangeText = (rate: Parameters<typeof rateText>[0]) =>
  `${percentText(rate.low)} to ${percentText(rate.high)}`;
