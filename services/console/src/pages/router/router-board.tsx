import { Stack, Text } from '@mantine/core';
import type { RouterReport } from '../../api/types.js';
import { Figure } from '../overview/figure.js';
import { ChoiceShares } from './choice-shares.js';
import { CostChart } from './cost-chart.js';
import { MapCard } from './map-card.js';
import { RegretChart } from './regret-chart.js';
import { ReliabilityChart } from './reliability-chart.js';
import { intervalText, lossText, percent } from './router-facts.js';

/** The evaluation of one router model: figures, then pictures. */
export function RouterBoard({ report }: { readonly report: RouterReport }) {
  const { dataset, split, n, date, fitted, notes } = report;
  return (
    <Stack gap="md">
      <Figures report={report} />
      <div className="chart-columns">
        <Stack gap="md">
          <ReliabilityChart report={report} />
          <CostChart report={report} />
        </Stack>
        <Stack gap="md">
          <RegretChart report={report} />
          <ChoiceShares report={report} />
        </Stack>
      </div>
      <MapCard report={report} />
      <Text size="xs" className="quiet">
        Measured on {n.toLocaleString('en')} prompts of {dataset}, part “{split}”, on {date}
        {fitted && '; the router was fitted on some of them, which flatters these figures'}.
        {notes.map((note) => ` ${note}`)}
      </Text>
    </Stack>
  );
}

function Figures({ report }: { readonly report: RouterReport }) {
  const { figures, baselines, lossUnit, reliability } = report;
  const oracle = baselines.find(({ name }) => name === 'oracle');
  const within = (figure: RouterReport['figures']['loss']) => {
    const text = intervalText(figure.interval, lossUnit);
    return text === undefined ? 'no interval was drawn' : `95 % interval ${text}`;
  };
  const calibration = reliability.find(({ of }) => of === 'all') ?? reliability[0];
  return (
    <div className="figures">
      <Figure
        label={lossUnit === 'error' ? 'Wrong answers' : 'Loss'}
        value={lossText(figures.loss.value, lossUnit)}
        note={oracle ? `the least possible is ${lossText(oracle.loss, lossUnit)}` : within(figures.loss)}
      />
      <Figure label="Regret" value={lossText(figures.regret.value, lossUnit)} note={within(figures.regret)} />
      <Figure
        label="As good as the best"
        value={percent(figures.top1.value, 1)}
        note={
          figures.top1.interval
            ? `95 % interval ${(100 * figures.top1.interval[0]).toFixed(1)} to ${percent(figures.top1.interval[1], 1)}`
            : 'of the choices'
        }
      />
      <Figure
        label="Calibration error"
        value={calibration ? lossText(calibration.calibrationError, lossUnit) : '–'}
        note={`intervals hold ${percent(figures.coverage, 1)} of losses, meant to hold ${percent(figures.targetCoverage)}`}
      />
    </div>
  );
}
