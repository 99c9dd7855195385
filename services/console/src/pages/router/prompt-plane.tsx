import { memo } from 'react';
import type { Colouring } from './router-facts.js';

const ROOM = 30;
/** Least height of the picture, as a share of its width: what lies in a line is no strip. */
const LEAST_ASPECT = 0.6;

interface PromptPlaneProps {
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly colouring: Colouring;
  /** Class that stands out; the others fade. */
  readonly marked: number | undefined;
  readonly label: string;
}

/** The places of prompts, coloured by class. */
export const PromptPlane = memo(function PromptPlane(props: PromptPlaneProps) {
  const { x, y, colouring, marked } = props;
  return (
    <svg
      className="prompt-plane"
      viewBox={frameOf(x, y)}
      role="img"
      aria-label={props.label}
      data-testid="prompt-map"
    >
      {colouring.classes.map(({ name, colour }, index) => (
        <g
          key={name}
          className="map-class"
          data-colour={colour}
          data-faded={marked !== undefined && marked !== index}
        >
          {colouring.of.map((own, at) =>
            own === index ? <circle key={at} cx={x[at]} cy={y[at]} r={8} /> : null,
          )}
        </g>
      ))}
    </svg>
  );
});

/** What is in the picture: all places, with room around them. */
function frameOf(x: readonly number[], y: readonly number[]): string {
  const [left, right] = [Math.min(...x), Math.max(...x)];
  const [top, bottom] = [Math.min(...y), Math.max(...y)];
  const width = Math.max(right - left, 1) + 2 * ROOM;
  const height = Math.max(bottom - top + 2 * ROOM, LEAST_ASPECT * width);
  return `${left - ROOM} ${(top + bottom - height) / 2} ${width} ${height}`;
}
