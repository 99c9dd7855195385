/** A point of a picture with its name. */
export interface LabelledPoint {
  readonly label: string;
  readonly left: number;
  readonly top: number;
}

/** Where a name is written: the baseline of its text. */
export interface LabelPlace {
  readonly left: number;
  readonly top: number;
  readonly anchor: 'start' | 'end' | 'middle';
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const LETTER = 6.4;
const LINE = 13;
const GAP = 9;
const RADIUS = 6;
const STEPS = 24;

/**
 * A place for the name of each point where it covers no other point, no name before it and no part of the line: beside,
 * above or below its point; undefined where there is none inside the frame.
 */
export function placeLabels<T extends LabelledPoint>(
  points: readonly T[],
  line: readonly { readonly left: number; readonly top: number }[],
  frame: Box,
): (T & { readonly at: LabelPlace | undefined })[] {
  const taken: Box[] = points.map(({ left, top }) => around(left, top, RADIUS));
  for (const [index, to] of line.entries()) {
    const from = line[index - 1] ?? to;
    for (let step = 0; step <= STEPS; step++) {
      const share = step / STEPS;
      taken.push(
        around(from.left + share * (to.left - from.left), from.top + share * (to.top - from.top), 2),
      );
    }
  }
  return points.map((point) => {
    const at = candidates(point).find((place) => {
      const box = boxOf(place, point.label);
      return isInside(box, frame) && !taken.some((other) => overlaps(box, other));
    });
    if (at) taken.push(boxOf(at, point.label));
    return { ...point, at };
  });
}

function candidates({ left, top }: LabelledPoint): LabelPlace[] {
  return [
    { left: left + GAP, top: top + 4, anchor: 'start' },
    { left: left - GAP, top: top + 4, anchor: 'end' },
    { left: left + 4, top: top - GAP, anchor: 'start' },
    { left: left - 4, top: top - GAP, anchor: 'end' },
    { left: left + 4, top: top + GAP + LINE - 2, anchor: 'start' },
    { left: left - 4, top: top + GAP + LINE - 2, anchor: 'end' },
    { left, top: top - GAP, anchor: 'middle' },
    { left, top: top + GAP + LINE - 2, anchor: 'middle' },
  ];
}

function boxOf({ left, top, anchor }: LabelPlace, label: string): Box {
  const width = label.length * LETTER;
  const start = { start: left, end: left - width, middle: left - width / 2 }[anchor];
  return { left: start, right: start + width, top: top - LINE + 3, bottom: top + 2 };
}

const around = (left: number, top: number, by: number): Box => ({
  left: left - by,
  right: left + by,
  top: top - by,
  bottom: top + by,
});

const overlaps = (a: Box, b: Box) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

const isInside = (box: Box, frame: Box) =>
  box.left >= frame.left && box.right <= frame.right && box.top >= frame.top && box.bottom <= frame.bottom;
