import { Group, Text, Tooltip } from '@mantine/core';
import type { WeighedExpert } from './decision-math.js';
import { useMoves } from './use-moves.js';

/** Room to the right of the longest bar. */
const HEADROOM = 1.04;

/** One row an expert: predicted loss with its interval, then what the weights add. Shortest wins. */
export function LossChart(props: { readonly experts: readonly WeighedExpert[]; readonly lossUnit: string }) {
  const rows = useMoves<HTMLDivElement>(props.experts.map(({ expert }) => expert).join());
  const longest =
    Math.max(...props.experts.flatMap(({ total, interval }) => [total, interval[1]]), 0.001) * HEADROOM;
  const percent = (value: number) => `${(Math.max(0, value) / longest) * 100}%`;
  return (
    <div>
      <div role="list" aria-label="Experts, best first" ref={rows} data-testid="ranking">
        {props.experts.map((item, index) => (
          <Tooltip
            key={item.expert}
            label={<Breakdown item={item} unit={props.lossUnit} />}
            position="top-start"
            withArrow
            multiline
            events={{ hover: true, focus: true, touch: true }}
          >
            <div
              className="bar-row"
              role="listitem"
              data-key={item.expert}
              data-best={index === 0}
              tabIndex={0}
              aria-label={spoken(item, props.lossUnit)}
            >
              <Text size="sm" fw={index === 0 ? 650 : 400} truncate>
                {item.expert}
              </Text>
              <div className="bar-track" aria-hidden>
                <div className="bar-loss" style={{ width: percent(item.predictedLoss) }} />
                <div
                  className="bar-cost"
                  style={{ left: percent(item.predictedLoss), width: percent(item.costTotal) }}
                />
                <div
                  className="whisker"
                  style={{
                    left: percent(item.interval[0]),
                    width: percent(item.interval[1] - Math.max(0, item.interval[0])),
                  }}
                />
              </div>
              <Text size="sm" className="number" fw={index === 0 ? 650 : 400}>
                {item.total.toFixed(2)}
              </Text>
            </div>
          </Tooltip>
        ))}
      </div>
      <Legend lossUnit={props.lossUnit} />
    </div>
  );
}

function Legend({ lossUnit }: { readonly lossUnit: string }) {
  return (
    <Group style={{ gap: '4px 20px' }} mt="sm" px={8}>
      <Mark colour="var(--loss-faint)" text={`predicted loss (${unitText(lossUnit)})`} />
      <Mark colour="var(--cost)" text="what your weights add" />
      <Group gap={6}>
        <div className="whisker-mark" aria-hidden />
        <Text size="xs" className="quiet">
          90 % interval
        </Text>
      </Group>
    </Group>
  );
}

function Mark({ colour, text }: { readonly colour: string; readonly text: string }) {
  return (
    <Group gap={6}>
      <div style={{ width: 12, height: 12, borderRadius: 3, background: colour }} aria-hidden />
      <Text size="xs" className="quiet">
        {text}
      </Text>
    </Group>
  );
}

/** The unit of a loss in words. */
function unitText(lossUnit: string): string {
  return lossUnit === 'error' ? 'chance of a wrong answer' : lossUnit;
}

function spoken({ expert, predictedLoss, interval, costTotal, total }: WeighedExpert, unit: string): string {
  const [low, high] = interval.map((value) => value.toFixed(2));
  return `${expert}: predicted loss ${predictedLoss.toFixed(2)} ${unit}, between ${low} and ${high}; weights add ${costTotal.toFixed(2)}; total ${total.toFixed(2)}`;
}

function Breakdown({ item, unit }: { readonly item: WeighedExpert; readonly unit: string }) {
  const [low, high] = item.interval;
  return (
    <div className="breakdown">
      <div>
        loss {item.predictedLoss.toFixed(3)} {unit}, between {low.toFixed(2)} and {high.toFixed(2)}
      </div>
      {item.costs
        .filter(({ weight }) => weight > 0)
        .map(({ name, value, weight }) => (
          <div key={name}>
            {name} {value.toFixed(2)} × {weight.toFixed(2)} = {(value * weight).toFixed(3)}
          </div>
        ))}
      <div>total {item.total.toFixed(3)}</div>
    </div>
  );
}
