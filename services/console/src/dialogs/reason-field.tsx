import { Textarea } from '@mantine/core';

/** Why somebody does it: it is kept with their key. */
export function ReasonField(props: {
  /** Where it is kept. */
  readonly keptIn: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}) {
  return (
    <Textarea
      label="Reason"
      description={`It is kept ${props.keptIn}.`}
      required
      autosize
      minRows={2}
      maxLength={500}
      value={props.value}
      onChange={(event) => {
        props.onChange(event.currentTarget.value);
      }}
      data-autofocus
    />
  );
}
