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

/** Neutrals with the warmth of paper, light to dark. */
const gray: MantineColorsTuple = [
  '#f7f5f0',
  '#efece5',
  '#e6e1d7',
  '#d8d3c7',
  '#c4bdae',
  '#a9a294',
  '#8b8577',
  '#6a655a',
  '#4b463d',
  '#2c2923',
];

/** The dark scheme: text first, paper last. */
const dark: MantineColorsTuple = [
  '#f0ece4',
  '#d3ccbf',
  '#a9a294',
  '#8f887b',
  '#45413a',
  '#3a3733',
  '#2b2926',
  '#191816',
  '#141311',
  '#0f0e0d',
];

/** One look for every page. */
export const theme = createTheme({
  primaryColor: 'clay',
  primaryShade: 6,
  colors: { clay, sage, gray, dark },
  defaultRadius: 'md',
  respectReducedMotion: true,
  fontFamily: "Inter, ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
  fontFamilyMonospace: "ui-monospace, 'JetBrains Mono', SFMono-Regular, Menlo, monospace",
  headings: { fontWeight: '650' },
  cursorType: 'pointer',
});
