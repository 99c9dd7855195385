import { Text } from '@mantine/core';
import type { ReactNode } from 'react';

/** A picture with what it shows, and the same as a table for who cannot see it. */
export function ChartCard(props: {
  readonly title: string;
  readonly purpose: string;
  readonly children: ReactNode;
  /** Rows of the table; left out where the picture is text already. */
  readonly table?: ReactNode;
}) {
  return (
    <section className="card chart-card" aria-label={props.title}>
      <div>
        <Text fw={600} size="sm">
          {props.title}
        </Text>
        <Text size="xs" className="quiet">
          {props.purpose}
        </Text>
      </div>
      {props.children}
      {props.table !== undefined && (
        <details className="as-table">
          <summary>As a table</summary>
          {/* Wider than a narrow screen, it scrolls by itself. */}
          <div className="as-table-scroll" tabIndex={0} role="group" aria-label={`${props.title} as a table`}>
            {props.table}
          </div>
        </details>
      )}
    </section>
  );
}

/** A plain table: the first column names the row, the others are numbers. */
export function PlainTable(props: {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}) {
  return (
    <table>
      <thead>
        <tr>
          {props.head.map((name) => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {props.rows.map(([name, ...cells], at) => (
          <tr key={`${at} ${name ?? ''}`}>
            <th scope="row">{name}</th>
            {cells.map((cell, column) => (
              <td key={props.head[column + 1]}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
