import { Button, Group, Slider, Stack, Text } from '@mantine/core';
import type { CostKind, Weights } from './decision-math.js';

/** What each cost stands for. */
const MEANING: Readonly<Record<string, string>> = {
  size: 'work per token',
  recency: 'age of the version',
  latency: 'time to answer',
  cost: 'price per token',
  security: 'missing signature, scan or test',
  verbosity: 'length of answers',
  readability: 'difficulty of answers',
};

/** The largest weight: so much loss is the full range of a cost worth at most. */
function largest(lossUnit: string): number {
  return lossUnit === 'error' ? 1 : 4;
}

/** A weight for each cost: how much predicted loss its full range is worth. */
export function LambdaSliders(props: {
  readonly costs: readonly CostKind[];
  readonly lossUnit: string;
  readonly weights: Weights;
  readonly isMoved: boolean;
  readonly onChange: (name: string, weight: number) => void;
  readonly onReset: () => void;
}) {
  const movable = props.costs.filter(({ differs }) => differs);
  const fixed = props.costs.filter(({ differs }) => !differs).map(({ name }) => name);
  const max = largest(props.lossUnit);
  return (
    <Stack gap="xs" role="group" aria-label="What matters to you">
      <Group justify="space-between">
        <Text fw={600} size="sm">
          What matters to you
        </Text>
        {props.isMoved && (
          <Button size="compact-xs" variant="subtle" onClick={props.onReset}>
            Reset
          </Button>
        )}
      </Group>
      {movable.map(({ name }) => {
        const weight = props.weights[name] ?? 0;
        return (
          <div key={name} className="slider-row">
            <div>
              <Text size="sm" id={`lambda-${name}`} fw={500}>
                {name}
              </Text>
              <Text size="xs" className="quiet">
                {MEANING[name] ?? ''}
              </Text>
            </div>
            <Slider
              min={0}
              max={max}
              step={max / 80}
              value={Math.min(weight, max)}
              label={null}
              thumbProps={{
                'aria-labelledby': `lambda-${name}`,
                'aria-valuetext': `${weight.toFixed(2)} ${props.lossUnit}`,
              }}
              onChange={(value) => {
                props.onChange(name, Number(value.toFixed(4)));
              }}
            />
            <Text size="sm" className="number">
              {weight.toFixed(2)}
            </Text>
          </div>
        );
      })}
      {fixed.length > 0 && (
        <Text size="xs" className="quiet">
          {movable.length === 0 ? 'No weight would move the choice: ' : ''}
          {fixed.join(', ')} {fixed.length === 1 ? 'is' : 'are'} the same for every expert here.
        </Text>
      )}
    </Stack>
  );
}
