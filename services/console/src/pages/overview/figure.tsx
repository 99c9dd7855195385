import { Text } from '@mantine/core';

/** One number with its meaning. */
export function Figure(props: { readonly label: string; readonly value: string; readonly note: string }) {
  return (
    <div className="card" style={{ height: '100%' }}>
      <Text size="xs" className="quiet" fw={600}>
        {props.label}
      </Text>
      <Text fz={28} fw={650} lh={1.25} style={{ fontVariantNumeric: 'tabular-nums' }}>
        {props.value}
      </Text>
      <Text size="xs" className="quiet">
        {props.note}
      </Text>
    </div>
  );
}
