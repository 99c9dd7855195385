import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { verbsOf } from '../support/mesh.js';
import { focused, launchBrowser, open, seriousViolations } from './pages.js';

const LIST = '**/admin/v1/compositions';
const ONE = '**/admin/v1/compositions/*/versions/*';
const INFER = '**/v2/models/**';
const NAME = 'voice-and-court';
const PARENTS = ['overruling', 'snips7'];
const PATH = `/compositions/${NAME}/1`;
const LOOKS = (['light', 'dark'] as const).flatMap((scheme) =>
  ([1280, 390] as const).map((width) => ({ scheme, width })),
);

let browser: Browser;
let accuracy: Readonly<Record<string, number>>;
beforeAll(async () => {
  browser = await launchBrowser();
  const { metrics, state } = await verbsOf(inject('meshUnderBrowser').dataFolder).json<{
    metrics: Record<string, number>;
    state: string;
  }>(['compose', 'run', ...PARENTS, '--name', NAME, '--parameter', 'rank=16'], { timeoutMs: 400_000 });
  expect(state).toBe('ready');
  accuracy = metrics;
}, 420_000);
afterAll(() => browser.close());

const board = (page: Page) => page.getByTestId('composition');
const prompt = (page: Page) => page.getByRole('textbox', { name: 'Prompt' });
const percent = (share: number | undefined) => `${(100 * (share ?? Number.NaN)).toFixed(1)} %`;

describe('the page of compositions', () => {
  it('shows what was composed: parents, score of each task beside the parent alone, ranks and bytes', async () => {
    const { page, context } = await open(browser, '/compositions');
    await board(page).waitFor();
    const row = page.getByRole('row', { name: new RegExp(NAME) });
    expect(await row.innerText()).toMatch(new RegExp(`twin\\s+${PARENTS.join(' \\+ ')}\\s+[\\d.]+ %`));
    expect(await page.getByLabel('Score', { exact: true }).innerText()).toContain(
      percent(accuracy['normalized']),
    );
    expect(await page.getByTestId('lineage').getByRole('listitem').count()).toBe(2);
    expect(await page.getByTestId('lineage').locator('path').count()).toBe(2);
    const scores = await page.getByTestId('task-scores').getByRole('listitem').allInnerTexts();
    for (const [at, parent] of PARENTS.entries())
      expect(scores[at]).toContain(percent(accuracy[`accuracy/${parent}`]));
    expect(await page.getByTestId('ranks').locator('.plot-step').count()).toBeGreaterThan(1);
    expect(await page.getByTestId('ranks').locator('.plot-chosen').count()).toBe(1);
    for (const name of ['Score per task', 'Rank against bytes']) {
      const card = page.getByRole('region', { name, exact: true });
      await card.getByText('As a table').click();
      expect(await card.getByRole('table').getByRole('row').count(), name).toBeGreaterThan(2);
    }
    await page.getByTestId('lineage').getByRole('link', { name: 'snips7' }).click();
    await page.waitForURL('**/console/experts/snips7');
    await context.close();
  });

  it('weighs a typed prompt: weights, the head that answered, its label', async () => {
    const { page, context } = await open(browser, PATH);
    const asked: string[] = [];
    page.on('request', (request) => {
      if (request.postData()?.includes('jazz')) asked.push(new URL(request.url()).pathname);
    });
    expect(await page.getByRole('button', { name: 'Weigh' }).isDisabled()).toBe(true);
    await prompt(page).fill('play some jazz by Miles Davis');
    await page.keyboard.press('Control+Enter');
    await page.getByTestId('weights').waitFor();
    expect(await page.getByTestId('weighed-label').innerText()).toBe('PlayMusic');
    expect(await page.getByTestId('weighed-head').innerText()).toContain('snips7');
    const weights = await page.getByTestId('weights').getByRole('listitem').allInnerTexts();
    const shares = weights.map((text) => Number(/([\d.]+) %/.exec(text)?.[1]));
    expect(shares[1]).toBeGreaterThan(shares[0]!);
    expect(shares[0]! + shares[1]!).toBeCloseTo(100, 0);
    // The text went to the expert and nowhere else.
    expect(asked).toEqual([`/v2/models/${NAME}/versions/1/infer`]);
    await prompt(page).fill('we overrule our decision');
    expect(await page.getByTestId('weights').count()).toBe(0);
    await context.close();
  });

  it('can be used with the keyboard alone', async () => {
    const { page, context } = await open(browser, PATH);
    await board(page).waitFor();
    await page.getByRole('link', { name: 'Compositions' }).focus();
    const order: string[] = [];
    for (let step = 0; step < 12 && order.at(-1) !== 'Prompt'; step++) {
      await page.keyboard.press('Tab');
      order.push(await focused(page));
    }
    expect(order.filter((name) => !name.startsWith('As a table'))).toEqual([
      'All compositions',
      `${NAME}@1`,
      'overruling@2',
      'snips7@2',
      `${NAME}@1`,
      'Prompt',
    ]);
    await context.close();
  });

  it('says that there is none and how to make one, that one is not there, and what went wrong', async () => {
    const { page, context } = await open(browser, '/compositions/nobody/1');
    await page.getByRole('alert').getByText('There is no composition nobody@1.').waitFor();
    await page.route(LIST, (route) => route.fulfill({ json: { object: 'list', data: [] } }));
    await page.goto('/console/compositions');
    await page.getByText('npx thalamus compose run').waitFor();
    await page.unroute(LIST);
    const error = { code: 'ARTIFACT_CORRUPT', message: 'composition.json is not what its digest says.' };
    await page.route(ONE, (route) => route.fulfill({ status: 500, json: { error } }));
    await page.goto('/console/compositions');
    await page.getByRole('alert').getByText(error.message).waitFor();
    await page.unroute(ONE);
    await page.getByRole('button', { name: 'Try again' }).click();
    await board(page).waitFor();
    // The Open Inference Protocol says its faults in another form.
    const fault = { error: 'EXPERT_NOT_READY: No host has it ready.' };
    await page.route(INFER, (route) => route.fulfill({ status: 503, json: fault }));
    await prompt(page).fill('play some jazz');
    await page.getByRole('button', { name: 'Weigh' }).click();
    const alert = page.getByRole('alert');
    await alert.getByText('No host has it ready.', { exact: true }).waitFor();
    expect(await alert.getAttribute('data-code')).toBe('EXPERT_NOT_READY');
    await context.close();
  });

  it('says when no parent covers a text, and shows one of which little is known', async () => {
    const { page, context } = await open(browser, '/compositions');
    await page.route(INFER, async (route) => {
      const answer = (await (await route.fetch()).json()) as { outputs: { name: string; data: unknown[] }[] };
      const others = answer.outputs.filter(({ name }) => name !== 'abstain');
      const abstain = { name: 'abstain', datatype: 'BOOL', shape: [1], data: [true] };
      await route.fulfill({ json: { ...answer, outputs: [...others, abstain] } });
    });
    await prompt(page).fill('zxcv qwer');
    await page.getByRole('button', { name: 'Weigh' }).click();
    await page.getByRole('alert').getByText('No parent covers this text').waitFor();
    await page.route(ONE, async (route) => {
      const whole = (await (await route.fetch()).json()) as object;
      await route.fulfill({ json: { ...whole, report: null, recipe: null } });
    });
    await page.reload();
    await page.getByText('its bundle holds no composition.json').waitFor();
    await context.close();
  });

  it.each(LOOKS)('is clean with an answer and its tables open in $scheme, $width px wide', async (look) => {
    const { page, context, complaints } = await open(browser, PATH, { ...look, reducedMotion: 'reduce' });
    await board(page).waitFor();
    await prompt(page).fill('play some jazz by Miles Davis');
    await page.getByRole('button', { name: 'Weigh' }).click();
    await page.getByTestId('weights').waitFor();
    const folder = process.env['COMPOSITION_PICTURES'];
    if (folder)
      await page.screenshot({
        path: `${folder}/composition-${look.scheme}-${look.width}.png`,
        fullPage: true,
      });
    for (const summary of await page.getByText('As a table').all()) await summary.click();
    await page.getByText('Recipe', { exact: true }).click();
    expect(await seriousViolations(page)).toEqual([]);
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate<number>(overflow)).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
