import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey, focused, launchBrowser, open, seriousViolations } from './pages.js';
import {
  askOften,
  beginRelease,
  EXPERT,
  NEGATIVE,
  POSITIVE,
  updaterMetrics,
  VERSION,
} from './release-for-the-page.js';

const LIST = '**/admin/v1/releases?*';
const ONE = /\/admin\/v1\/releases\/[^/?]+$/;
const LOOKS = (['light', 'dark'] as const).flatMap((scheme) =>
  ([1280, 390] as const).map((width) => ({ scheme, width })),
);

let browser: Browser;
let path: string;
let operator: string;
beforeAll(async () => {
  browser = await launchBrowser();
  operator = (await createKey('operator')).secret;
  path = `/releases/${await beginRelease()}`;
  await askOften(40);
}, 300_000);
afterAll(() => browser.close());

const board = (page: Page) => page.getByTestId('release');
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });

/** Shows the release as if it were otherwise. */
function showAs(page: Page, patch: (whole: Record<string, unknown>) => object): Promise<unknown> {
  return page.route(ONE, async (route) => {
    const whole = (await (await route.fetch()).json()) as Record<string, unknown>;
    await route.fulfill({ json: { ...whole, ...patch(whole) } });
  });
}

describe('the page of releases', () => {
  it('shows a release of a real expert: where it stands, how it came there, and what flipped', async () => {
    const { page, context } = await open(browser, '/releases');
    await board(page).waitFor();
    expect(await page.getByRole('row', { name: new RegExp(EXPERT) }).innerText()).toMatch(
      new RegExp(`→ ${VERSION}\\s+Shadow[^]*0 %`),
    );
    expect(await page.getByTestId('stops').locator('[aria-current=step]').innerText()).toContain('Shadow');
    const steps = await page.getByTestId('path').getByRole('listitem').allInnerTexts();
    expect(steps.map((text) => text.split('\n')[0])).toEqual(['Shadow', 'Compared', 'Draft']);
    expect(steps[1]).toContain('by the gate');
    expect(steps[1]).toContain('3 artifacts');
    expect(await page.getByTestId('verdict').innerText()).toContain('Compatible.');
    expect(await page.getByLabel('Negative flips', { exact: true }).first().innerText()).toContain('0.50 %');
    const slices = await page.getByTestId('flip-slices').getByRole('listitem').allInnerTexts();
    expect(slices[0]).toContain('all items');
    expect(slices.join()).toContain('label=fee');
    // Dashboards show the same.
    const metrics = await updaterMetrics();
    expect(metrics).toContain('thalamus_releases_live{thalamus_release_state="SHADOW"} 1');
    expect(metrics).toContain(`thalamus_releases_weight{thalamus_expert_name="${EXPERT}"} 0`);
    await context.close();
  });

  it('shows the rules of its gate, and what each says now', async () => {
    const { page, context } = await open(browser, path);
    const rules = page.getByRole('region', { name: 'Gate page' }).getByTestId('gate').getByRole('listitem');
    await rules.first().waitFor();
    const shown = (await rules.allInnerTexts()).map((text) => text.replace(/\s+/g, ' '));
    expect(shown[0]).toMatch(/^mirrored-tail inconclusive slowTail is .* 1000000 are needed/);
    expect(shown[1]).toMatch(/^few-flips passed nfr of all items is 0\.50 % \(2 of 400\)/);
    await context.close();
  });

  it('has the very items that flipped, to be looked for', async () => {
    const { page, context } = await open(browser, path);
    const rows = page.getByTestId('flips').getByRole('row');
    await rows.first().waitFor();
    const ids = async () => (await rows.allInnerTexts()).slice(1).map((text) => text.split(/\s/)[0]);
    expect(await ids()).toEqual([...NEGATIVE, ...POSITIVE]);
    expect(await rows.nth(1).innerText()).toMatch(/item-003\s+negative\s+fee\s+fee\s+other/);
    await page.getByText('Positive', { exact: true }).click();
    expect(await ids()).toEqual(POSITIVE);
    await page.getByRole('textbox', { name: 'Filter flipped items' }).fill('022');
    expect(await ids()).toEqual(['item-022']);
    expect(await page.getByTestId('flip-count').innerText()).toBe('1 of 7 items');
    await context.close();
  });

  it('draws what live traffic says, and goes on while it comes', async () => {
    const { page, context } = await open(browser, path);
    const test = page.getByRole('region', { name: 'Errors, mirrored' });
    await test.waitFor();
    const trials = async () => Number(/of ([\d,]+)/.exec(await test.innerText())?.[1]?.replace(',', ''));
    const before = await trials();
    expect(before).toBeGreaterThan(10);
    await askOften(15);
    await expect.poll(trials, { timeout: 20_000 }).toBeGreaterThan(before);
    const points = await test.locator('.live-line').getAttribute('points');
    expect(points?.split(' ').length).toBeGreaterThan(1);
    await context.close();
  });

  it('has an address, and says why a viewer may not move it', async () => {
    const { page, context } = await open(browser, '/releases');
    await page.getByRole('link', { name: new RegExp(EXPERT) }).click();
    await page.waitForURL(`**/console${path}`);
    expect((await page.reload())?.status()).toBe(200);
    await board(page).waitFor();
    for (const name of ['Promote', 'Roll back']) expect(await button(page, name).isDisabled()).toBe(true);
    const why = 'Promoting and rolling back take the role operator.';
    expect(await page.getByText(why).isVisible()).toBe(true);
    await context.close();
  });

  it('can be used with the keyboard alone', async () => {
    const { page, context } = await open(browser, path, { key: operator });
    await board(page).waitFor();
    await page.getByRole('link', { name: 'Releases' }).focus();
    const order: string[] = [];
    for (let step = 0; step < 8 && order.at(-1) !== 'Roll back'; step++) {
      await page.keyboard.press('Tab');
      order.push(await focused(page));
    }
    expect(order.slice(-2)).toEqual(['Promote', 'Roll back']);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await expect.poll(() => focused(page)).toContain('Reason');
    expect(await button(page, 'Take it back').isDisabled()).toBe(true);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await expect.poll(() => focused(page)).toBe('Roll back');
    await context.close();
  });

  it('says that there is none, that one is not there, and what went wrong', async () => {
    const { page, context } = await open(browser, '/releases/nobody-1-0');
    await page.getByRole('alert').getByText('nobody-1-0').waitFor();
    await page.route(LIST, (route) =>
      route.fulfill({ json: { object: 'list', data: [], nextPageToken: null } }),
    );
    await page.goto('/console/releases');
    await page.getByText('No releases').waitFor();
    await page.unroute(LIST);
    const error = { code: 'NOT_LEADER', message: 'No updater is elected.' };
    await page.route(LIST, (route) => route.fulfill({ status: 503, json: { error } }));
    await page.goto('/console/releases');
    await page.getByRole('alert').getByText(error.message).waitFor();
    await page.unroute(LIST);
    await page.getByRole('button', { name: 'Try again' }).click();
    await board(page).waitFor();
    await context.close();
  });

  it('shows one that stopped, one that broke a limit, and one of which nothing was compared', async () => {
    const { page, context } = await open(browser, '/releases', { key: operator });
    await showAs(page, () => ({ stopped: 'Incompatible: too much is lost.' }));
    await page.goto(`/console${path}`);
    await page.getByTestId('stopped').getByText('too much is lost').waitFor();
    expect(await button(page, 'Approve').count()).toBe(0);
    await page.unroute(ONE);
    await showAs(page, ({ gate }) => {
      const { rules, ...rest } = gate as { rules: object[] };
      return { gate: { ...rest, rules: rules.map((rule) => ({ ...rule, approvals: 2 })) } };
    });
    await page.reload();
    await button(page, 'Approve').click();
    await page.getByRole('dialog').getByText('Your key counts once').waitFor();
    await button(page, 'Cancel').click();
    await page.unroute(ONE);
    await showAs(page, ({ live }) => {
      const reading = live as { tests: object[] };
      return { live: { ...reading, tests: reading.tests.map((test) => ({ ...test, alarm: true })) } };
    });
    await page.reload();
    await page.getByTestId('live-tests').getByText('limit broken').first().waitFor();
    await page.unroute(ONE);
    await showAs(page, () => ({ comparison: null, live: null, plan: null }));
    await page.reload();
    // What was read before stands beside the path.
    await page.getByTestId('live-tests').waitFor();
    expect(await page.getByText('Not compared offline').count()).toBe(0);
    await page.route('**/admin/v1/releases/*/readings', (route) =>
      route.fulfill({ json: { object: 'list', release: 'any', data: [] } }),
    );
    await page.reload();
    await page.getByText('Not compared offline').waitFor();
    expect(await page.getByTestId('flips').count()).toBe(0);
    await page.getByText('No traffic yet.').waitFor();
    await context.close();
  });

  it('shows one that is being repaired and one that was, and asks for rows where it can be', async () => {
    const { page, context, complaints } = await open(browser, path, {
      key: operator,
      reducedMotion: 'reduce',
    });
    const repair = {
      ...{ job: 'job-1', by: 'cli', at: '2026-11-29T11:00:00Z', replacedVersion: VERSION, ended: false },
      parameters: { method: 'mean', dataset: 'unseen@1', seed: 7 },
    };
    const note = page.getByTestId('repair');
    const folder = process.env['RELEASE_PICTURES'];
    await showAs(page, () => ({ state: 'compared', live: null, repair }));
    await page.reload();
    await note.getByText(`Version ${VERSION} is being repaired`).waitFor();
    expect(await note.innerText()).toMatch(
      /mean on unseen@1, seed 7, asked for by the command line[^]*watch job-1/,
    );
    expect(await button(page, 'Repair').count()).toBe(0);
    await page.unroute(ONE);
    await showAs(page, ({ history }) => ({
      ...{ state: 'repaired', toVersion: '901', live: null, repair: { ...repair, ended: true } },
      history: [...(history as object[]), { ...(history as object[])[1], state: 'repaired' }],
    }));
    await page.reload();
    await note.getByText(`Version 901 is ${VERSION} repaired, and took its place`).waitFor();
    expect(await button(page, 'Repair').count()).toBe(0);
    if (folder) await page.screenshot({ path: `${folder}/release-repaired.png` });
    await page.unroute(ONE);
    await showAs(page, () => ({ state: 'compared', stopped: 'Incompatible: too much is lost.', live: null }));
    await page.reload();
    await button(page, 'Repair').click();
    await page.getByRole('dialog').waitFor();
    expect(await button(page, 'Repair it').isDisabled()).toBe(true);
    await page.getByRole('textbox', { name: 'Data set' }).fill('unseen@1');
    expect(await button(page, 'Repair it').isDisabled()).toBe(false);
    expect(await seriousViolations(page)).toEqual([]);
    if (folder) await page.screenshot({ path: `${folder}/release-repair.png` });
    expect(complaints).toEqual([]);
    await context.close();
  });

  it.each(LOOKS)('is clean with its tables open in $scheme, $width px wide', async (look) => {
    const { page, context, complaints } = await open(browser, path, {
      ...look,
      key: operator,
      reducedMotion: 'reduce',
    });
    await page.getByTestId('flips').waitFor();
    await page.getByTestId('live-tests').waitFor();
    const folder = process.env['RELEASE_PICTURES'];
    if (folder)
      await page.screenshot({ path: `${folder}/release-${look.scheme}-${look.width}.png`, fullPage: true });
    for (const summary of await page.locator('summary').all()) await summary.click();
    expect(await seriousViolations(page)).toEqual([]);
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate<number>(overflow)).toBe(0);
    await button(page, 'Promote').click();
    await page.getByRole('dialog').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it('takes it back with a reason, which its path tells', async () => {
    const { page, context } = await open(browser, path, { key: operator });
    await button(page, 'Roll back').click();
    await page.getByRole('textbox', { name: 'Reason' }).fill('seen enough');
    await button(page, 'Take it back').click();
    await page.getByTestId('stops').getByText('Rolled back').waitFor();
    const [last = ''] = await page.getByTestId('path').getByRole('listitem').allInnerTexts();
    expect(last).toContain('seen enough');
    expect(last).toContain('by key');
    expect(await button(page, 'Roll back').count()).toBe(0);
    await context.close();
  });
});
