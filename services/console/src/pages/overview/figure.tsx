import { Text } from '@mantine/core';

/** One number with its meaning. */
export function Figure(props: { readonly label: string; readonly value: string; readonly note: string }) {
  return (
    <section className="card" aria-label={props.label}>
      <Text size="xs" className="quiet" fw={600}>
        {props.label}
      </Text>
      <div className="figure-value">{props.value}</div>
      <Text size="xs" className="quiet">
        {props.note}
      </Text>
    </section>
  );
}
