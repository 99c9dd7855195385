import { createTheme, type MantineColorsTuple } from '@mantine/core';

/** Warm accent of the product: the path of a request. */
const clay: MantineColorsTuple = [
  '#fbf1ec',
  '#f3ddd2',
  '#e8bba6',
  '#dd9777',
  '#d37950',
  '#cb6637',
  '#b4552d',
  '#974524',
  '#7b381d',
  '#602a15',
];

/** Quiet green: what is healthy, what an event brought. */
const sage: MantineColorsTuple = [
  '#f2f5ee',
  '#e2e9d9',
  '#c5d3b3',
  '#a6bc8a',
  '#8ca868',
  '#7c9b55',
  '#6a8746',
  '#536b37',
  '#42552c',
  '#313f21',
];

/** One look for every page. */
export const theme = createTheme({
  primaryColor: 'clay',
  primaryShade: { light: 6, dark: 4 },
  colors: { clay, sage },
  defaultRadius: 'md',
  fontFamily: "Inter, ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
  fontFamilyMonospace: "ui-monospace, 'JetBrains Mono', SFMono-Regular, Menlo, monospace",
  headings: { fontWeight: '650' },
  cursorType: 'pointer',
});
