import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser, open, seriousViolations } from './pages.js';

const ROUTERS = '**/admin/v1/routers';
const EVALUATION = '**/admin/v1/routers/*/versions/*/evaluation';
const LOOKS = (['light', 'dark'] as const).flatMap((scheme) =>
  ([1280, 390] as const).map((width) => ({ scheme, width })),
);

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());

const map = (page: Page) => page.getByTestId('prompt-map');
const MAP = `document.querySelector('[data-testid="prompt-map"]')`;
/** Colours of the map with how many prompts have each. */
const coloursOf = (page: Page) =>
  page.evaluate<Record<string, number>>(
    `Object.fromEntries(Array.from(${MAP}.querySelectorAll('.map-class'), (group) =>
      [group.dataset.colour, group.querySelectorAll('circle').length]))`,
  );
/** Places of the prompts of the map, in no order. */
const placesOf = (page: Page) =>
  page.evaluate<string[]>(
    `Array.from(${MAP}.querySelectorAll('circle'), (dot) => dot.getAttribute('cx') + ' ' + dot.getAttribute('cy')).sort()`,
  );
const percentages = (text: string) => [...text.matchAll(/([\d.]+) %/g)].map(([, value]) => Number(value));

describe('the router page', () => {
  it('shows the router of the zoo: figures, bars, bins, and that training made neighbours purer', async () => {
    const { page, context } = await open(browser, '/router');
    await map(page).waitFor();
    expect(await page.getByText('decides for text-classification').isVisible()).toBe(true);
    for (const name of ['Loss', 'Regret', 'As good as the best', 'Calibration error'])
      expect(await page.getByLabel(name, { exact: true }).first().innerText()).toMatch(/\d/);
    const bars = page.getByTestId('regret').getByRole('listitem');
    expect(await bars.count()).toBeGreaterThanOrEqual(6);
    // It does better than any expert for all, and than chance.
    expect(await bars.first().innerText()).not.toContain('By chance');
    expect(await page.getByTestId('reliability').locator('circle').count()).toBeGreaterThan(15);
    const rows = await page.getByTestId('purity').getByRole('row').allInnerTexts();
    const [chance, before, after] = rows.slice(1).map(percentages);
    expect(before![0]).toBeGreaterThan(chance![0]!);
    expect(after![1]).toBeGreaterThan(before![1]!);
    await context.close();
  });

  it('colours the map by domain or by chosen expert, in either space, and marks one class', async () => {
    const { page, context } = await open(browser, '/router');
    await map(page).waitFor();
    const byDomain = await coloursOf(page);
    const places = await placesOf(page);
    await page.getByText('Chosen expert', { exact: true }).click();
    await page.getByRole('list', { name: 'Chosen experts' }).waitFor();
    const byExpert = await coloursOf(page);
    const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0);
    expect(sum(byExpert)).toBe(sum(byDomain));
    expect(byExpert).not.toEqual(byDomain);
    // Another colour moves nothing; another space does.
    expect(await placesOf(page)).toEqual(places);
    await page.getByText('Encoder', { exact: true }).click();
    await page.getByText('before training: vectors of the base').waitFor();
    expect(await placesOf(page)).not.toEqual(places);
    const banking = page.getByRole('button', { name: /^banking77/ });
    await banking.focus();
    await page.keyboard.press('Enter');
    expect(await banking.getAttribute('aria-pressed')).toBe('true');
    expect(await map(page).locator('.map-class[data-faded="false"]').count()).toBe(1);
    await banking.click();
    expect(await map(page).locator('.map-class[data-faded="true"]').count()).toBe(0);
    await context.close();
  });

  it('has every picture as a table', async () => {
    const { page, context } = await open(browser, '/router/fleet-router/2');
    await map(page).waitFor();
    for (const name of ['Calibration', 'Regret', 'Loss against cost', 'Map of prompts']) {
      const card = page.getByRole('region', { name, exact: true });
      await card.getByText('As a table').click();
      expect(await card.getByRole('table').getByRole('row').count(), name).toBeGreaterThan(1);
    }
    await context.close();
  });

  it('turns to another router model, whose address can be kept', async () => {
    const { page, context } = await open(browser, '/router');
    await page.getByRole('combobox', { name: 'Router model' }).click();
    await page.getByRole('option', { name: /^fleet-router/ }).click();
    await page.getByTestId('cost-curve').waitFor();
    expect(new URL(page.url()).pathname).toMatch(/^\/console\/router\/fleet-router\/\d+$/);
    expect(await page.getByTestId('cost-curve').getAttribute('aria-label')).toMatch(/gpt-4-1106 10\.00/);
    await page.reload();
    await page.getByTestId('cost-curve').waitFor();
    await page.goto('/console/router/nobody/1');
    await page.getByRole('alert').getByText('There is no router model nobody@1.').waitFor();
    await context.close();
  });

  it('is marked as old while the gateway does not answer', async () => {
    const { page, context } = await open(browser, '/router');
    await map(page).waitFor();
    await context.setOffline(true);
    await page.getByTestId('stale').waitFor({ timeout: 40_000 });
    expect(await map(page).isVisible()).toBe(true);
    await context.setOffline(false);
    await page.getByTestId('stale').waitFor({ state: 'detached', timeout: 40_000 });
    await context.close();
  });

  it('says that there is none, that one was never judged, and what went wrong', async () => {
    const { page, context } = await open(browser, '/overview');
    const go = () => page.getByRole('link', { name: 'Router' }).click();
    await page.route(ROUTERS, (route) => route.fulfill({ json: { object: 'list', data: [] } }));
    await go();
    await page.getByText('No router models').waitFor();
    await page.unroute(ROUTERS);
    await page.route(EVALUATION, (route) => route.fulfill({ json: { evaluation: null } }));
    await page.goto('/console/router');
    await page.getByText('Not judged yet').waitFor();
    await page.unroute(EVALUATION);
    const error = { code: 'ARTIFACT_CORRUPT', message: 'evaluation.json is not what its digest says.' };
    await page.route(EVALUATION, (route) => route.fulfill({ status: 502, json: { error } }));
    await page.goto('/console/router');
    await page.getByRole('alert').getByText(error.message).waitFor();
    await page.unroute(EVALUATION);
    await page.getByRole('button', { name: 'Try again' }).click();
    await map(page).waitFor();
    await context.close();
  });

  it.each(LOOKS)('is clean with its tables open in $scheme, $width px wide', async (look) => {
    const { page, context, complaints } = await open(browser, '/router/fleet-router/2', {
      ...look,
      reducedMotion: 'reduce',
    });
    for (const path of ['/router/fleet-router/2', '/router']) {
      await page.goto(`/console${path}`);
      await map(page).waitFor();
      const folder = process.env['ROUTER_PICTURES'];
      const name = path === '/router' ? 'zoo' : 'fleet';
      if (folder)
        await page.screenshot({ path: `${folder}/${name}-${look.scheme}-${look.width}.png`, fullPage: true });
      for (const summary of await page.getByText('As a table').all()) await summary.click();
      expect(await seriousViolations(page)).toEqual([]);
      const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
      expect(await page.evaluate<number>(overflow)).toBe(0);
    }
    expect(complaints).toEqual([]);
    await context.close();
  });
});
