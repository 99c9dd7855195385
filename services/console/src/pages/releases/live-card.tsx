import { Text } from '@mantine/core';
import type { LiveReading, Release, TestReading } from '../../api/release-types.js';
import { ChartCard, PlainTable } from '../router/chart-card.js';
import { LivePlot } from './live-plot.js';
import { seriesOf } from './readings.js';
import { isLive, percentText, testNames, testState } from './release-facts.js';

const TITLE = 'Live tests';
const SAID = { broken: 'limit broken', kept: 'within its limit', open: 'not decided' } as const;

/** What live traffic says, test by test: the estimate in a band that may be looked at at any time, against its limit. */
export function LiveCard(props: { readonly release: Release; readonly readings: readonly LiveReading[] }) {
  const { release, readings } = props;
  const now = readings.at(-1);
  if (!now)
    return (
      <ChartCard
        title={TITLE}
        purpose={
          isLive(release)
            ? 'No traffic yet. Once requests are mirrored or callers get the candidate, each test is drawn here against its limit.'
            : 'It is over, and no traffic was counted.'
        }
      >
        {null}
      </ChartCard>
    );
  const tested = now.tests.filter(({ trials }) => trials > 0);
  const untested = now.tests.filter(({ trials }) => trials === 0);
  return (
    <ChartCard
      title={TITLE}
      purpose={`Share that speaks against the candidate, with a 95 % band that holds at every moment. A candidate that is beyond doubt above a limit is taken back.${isLive(release) ? '' : ' It is over: this is what it ended with.'}`}
      table={<ReadingTable tests={now.tests} />}
    >
      <div className="live-tests" data-testid="live-tests">
        {tested.map((test) => (
          <Test key={test.test} now={test} series={seriesOf(readings, test.test)} />
        ))}
      </div>
      {untested.length > 0 && (
        <Text size="xs" className="quiet">
          Nothing to go by yet: {untested.map(({ test }) => testNames(test).title.toLowerCase()).join('; ')}.
        </Text>
      )}
    </ChartCard>
  );
}

function Test({ now, series }: { readonly now: TestReading; readonly series: readonly TestReading[] }) {
  const { title, counts } = testNames(now.test);
  const state = testState(now);
  return (
    <section className="live-test" data-state={state} aria-label={title}>
      <div className="path-line">
        <Text size="sm" fw={600}>
          {title}
        </Text>
        <Text size="xs" className="live-state">
          {SAID[state]}
        </Text>
      </div>
      <Text size="xs" className="quiet">
        {now.events.toLocaleString('en')} of {now.trials.toLocaleString('en')} {counts}
      </Text>
      <LivePlot series={series} />
      <Text size="xs" className="number-left">
        {percentText(now.rate)} <span className="quiet">in</span> {percentText(now.low)} to{' '}
        {percentText(now.high)}
        <span className="quiet">; limit</span> {percentText(now.limit)}
      </Text>
    </section>
  );
}

function ReadingTable({ tests }: { readonly tests: readonly TestReading[] }) {
  return (
    <PlainTable
      head={['test', 'trials', 'against', 'share', 'low', 'high', 'limit', 'p', '']}
      rows={tests.map((test) => [
        test.test,
        test.trials.toLocaleString('en'),
        test.events.toLocaleString('en'),
        percentText(test.rate),
        percentText(test.low),
        percentText(test.high),
        percentText(test.limit),
        test.pValue.toPrecision(2),
        SAID[testState(test)],
      ])}
    />
  );
}
