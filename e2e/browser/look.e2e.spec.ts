import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { launchBrowser, open, seriousViolations } from './pages.js';

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());

const PAGES: readonly { path: string; heading: string; ready: (page: Page) => Promise<void> }[] = [
  {
    path: '/',
    heading: 'Playground',
    ready: async (page) => {
      await page.getByText('Lost card').click();
      await page.getByTestId('ranking').waitFor();
      await page.getByRole('button', { name: 'Run banking77' }).click();
      await page.getByTestId('answer-label').waitFor();
    },
  },
  {
    path: '/?task=chat',
    heading: 'Playground',
    ready: async (page) => {
      await page.getByText('Rose bushes').click();
      await page.getByTestId('ranking').waitFor();
    },
  },
  {
    path: '/overview',
    heading: 'Overview',
    ready: (page) => page.getByLabel('Requests', { exact: true }).waitFor(),
  },
  {
    path: '/experts',
    heading: 'Experts',
    ready: (page) => page.getByRole('link', { name: 'banking77' }).first().waitFor(),
  },
  {
    path: '/experts/gpt-4-1106',
    heading: 'Experts',
    ready: (page) =>
      page
        .getByRole('dialog')
        .getByText(/^Version \d+$/)
        .first()
        .waitFor(),
  },
  {
    path: '/hosts',
    heading: 'Hosts',
    ready: (page) => page.getByRole('link', { name: 'banking77' }).waitFor(),
  },
  {
    path: '/router',
    heading: 'Router',
    ready: (page) => page.getByTestId('prompt-map').waitFor(),
  },
  {
    path: '/compositions',
    heading: 'Compositions',
    ready: (page) => page.getByText('No compositions').or(page.getByTestId('compositions')).waitFor(),
  },
  {
    path: '/releases',
    heading: 'Releases',
    ready: (page) => page.getByText('No releases').or(page.getByTestId('releases')).waitFor(),
  },
  { path: '/keys', heading: 'Keys', ready: (page) => page.getByText('first administrator').waitFor() },
  { path: '/policies', heading: 'Policies', ready: (page) => page.getByText('No policies').waitFor() },
];
const LOOKS = (['light', 'dark'] as const).flatMap((scheme) =>
  ([1280, 390] as const).map((width) => ({ scheme, width })),
);

describe.each(LOOKS)('in $scheme, $width px wide', (look) => {
  it.each(PAGES)('$path is clean', async ({ path, heading, ready }) => {
    const { key } = inject('meshUnderBrowser');
    const { page, context, complaints } = await open(browser, path, {
      ...look,
      key,
      reducedMotion: 'reduce',
    });
    await page.getByRole('heading', { level: 1, name: heading, includeHidden: true }).waitFor();
    await ready(page);
    expect(await page.title()).toBe(`${heading} · Thalamus`);
    expect(await seriousViolations(page)).toEqual([]);
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate<number>(overflow)).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it('the sign-in page is clean', async () => {
    const { page, context } = await open(browser, '/', { ...look, key: 'thk_000000000000_wrong' });
    await page.getByRole('alert').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    await context.close();
  });
});

it('a path without a page is 404, says so, and leads back', async () => {
  const { page, context } = await open(browser, '/', { key: inject('meshUnderBrowser').key });
  const answer = await page.goto('/console/nothing');
  expect(answer?.status()).toBe(404);
  await page.getByRole('heading', { level: 1, name: 'Not found' }).waitFor();
  await page.getByRole('link', { name: 'Go to the playground' }).click();
  await page.getByRole('heading', { level: 1, name: 'Playground' }).waitFor();
  await context.close();
});

it('the first view is interactive before its charts have been fetched', async () => {
  const { page, context } = await open(browser, '/');
  await page.getByRole('textbox', { name: 'Prompt' }).fill('hello');
  const fetched = await page.evaluate<string[]>(
    `performance.getEntriesByType('resource').map(({ name }) => name)`,
  );
  expect(fetched.some((name) => name.includes('/console/assets/'))).toBe(true);
  expect(fetched.filter((name) => name.includes('overview'))).toEqual([]);
  await context.close();
});
