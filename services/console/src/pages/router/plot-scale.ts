/** From values to places of a picture. */
export interface PlotScale {
  readonly low: number;
  readonly high: number;
  readonly at: (value: number) => number;
  /** Round values to be written beside the axis. */
  readonly ticks: readonly number[];
}

/** A scale of the values `low` to `high` over the places `from` to `to`, with about `wanted` round ticks inside. */
export function plotScale(low: number, high: number, from: number, to: number, wanted = 5): PlotScale {
  const end = high > low ? high : low + 1;
  const step = roundStep((end - low) / wanted);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(end / step + 1e-9);
  return {
    low,
    high: end,
    at: (value) => from + ((value - low) / (end - low)) * (to - from),
    ticks: Array.from({ length: last - first + 1 }, (_, at) => Number(((first + at) * step).toPrecision(12))),
  };
}

/** 1, 2 or 5 times a power of ten, at least as large. */
function roundStep(size: number): number {
  const power = 10 ** Math.floor(Math.log10(size));
  return (([1, 2, 5] as const).find((factor) => factor * power >= size * 0.999) ?? 10) * power;
}

/** A tick as text, with as many digits as the step needs. */
export function tickText(value: number, { ticks }: PlotScale): string {
  const step = (ticks[1] ?? 1) - (ticks[0] ?? 0);
  return value.toFixed(Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9))));
}
