import { Button, Group, Slider, Stack, Text, Tooltip } from '@mantine/core';

const MAX_NATS = 4;

/** What each cost stands for. */
const MEANING: Readonly<Record<string, string>> = {
  size: 'Work per token, in FLOPs',
  recency: 'Days since the version was made',
  latency: 'Measured time to answer',
  cost: 'Price per million tokens',
  security: 'Lack of trust: unsigned, unscanned',
  verbosity: 'Length of answers',
  readability: 'Difficulty of answers',
};

/** A weight for each cost: how many nats of predicted loss its full range is worth. */
export function LambdaSliders(props: {
  readonly costs: readonly { readonly name: string; readonly differs: boolean }[];
  readonly weights: Readonly<Record<string, number>>;
  readonly onChange: (weights: Readonly<Record<string, number>>) => void;
}) {
  if (props.costs.length === 0) return null;
  const moved = Object.values(props.weights).some((weight) => weight > 0);
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Text fw={600} size="sm">
          What matters to you
        </Text>
        <Button
          size="compact-xs"
          variant="subtle"
          disabled={!moved}
          onClick={() => {
            props.onChange({});
          }}
        >
          Reset
        </Button>
      </Group>
      {props.costs.map(({ name, differs }) => (
        <Tooltip
          key={name}
          label={differs ? MEANING[name] : `${MEANING[name] ?? name}: the same for every expert here`}
          position="left"
          withArrow
        >
          <Group gap="sm" wrap="nowrap" style={{ opacity: differs ? 1 : 0.55 }}>
            <Text size="sm" w={84} id={`lambda-${name}`}>
              {name}
            </Text>
            <Slider
              flex={1}
              size="sm"
              min={0}
              max={MAX_NATS}
              step={0.05}
              value={props.weights[name] ?? 0}
              label={null}
              thumbProps={{
                'aria-labelledby': `lambda-${name}`,
                'aria-valuetext': `${props.weights[name] ?? 0} nats`,
              }}
              onChange={(weight) => {
                props.onChange({ ...props.weights, [name]: weight });
              }}
            />
            <Text size="sm" className="number" w={36}>
              {(props.weights[name] ?? 0).toFixed(2)}
            </Text>
          </Group>
        </Tooltip>
      ))}
    </Stack>
  );
}
