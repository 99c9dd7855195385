import { waitUntil } from '@thalamus/testing';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { launchBrowser, open } from './pages.js';

let browser: Browser;
let http: string;
beforeAll(async () => {
  ({ http } = inject('meshUnderBrowser'));
  browser = await launchBrowser();
});
afterAll(() => browser.close());

async function post(path: string, body: object): Promise<void> {
  const response = await fetch(`${http}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status, await response.text()).toBe(200);
}

describe('the overview', () => {
  it('counts what is asked while one looks, and what was saved', async () => {
    const { page, context } = await open(browser, '/overview');
    const requests = page.getByLabel('Requests', { exact: true }).locator('.figure-value');
    await requests.waitFor();
    const before = Number((await requests.innerText()).replaceAll(',', ''));
    await post('/v1/classifications', { input: 'I lost my card, please block it' });
    const content =
      'Andy plants 90 geraniums and 40 fewer petunias that geraniums. How many flowers does he plant total?';
    await post('/v1/chat/completions', { model: 'auto:cost=1', messages: [{ role: 'user', content }] });
    await page.getByLabel('Who answered').getByText('mixtral-8x7b').waitFor();
    await page.getByLabel('Saved').getByText('less than always asking the dearest').waitFor();
    await waitUntil(
      'both requests are counted',
      async () => Number((await requests.innerText()).replaceAll(',', '')) >= before + 2,
      { timeoutMs: 15_000 },
    );
    await context.close();
  });

  it('says that it is stale when the gateway stands still, and goes on by itself', async () => {
    const { gatewayPid } = inject('meshUnderBrowser');
    const { page, context } = await open(browser, '/overview');
    await page.getByTestId('pulse').getByText('live').waitFor();
    process.kill(gatewayPid, 'SIGSTOP');
    try {
      await page.getByTestId('stale').waitFor();
      // What was known stays to be seen, with its time.
      expect(await page.getByTestId('stale').innerText()).toMatch(/What you see is of \d/);
      expect(await page.getByLabel('Requests', { exact: true }).isVisible()).toBe(true);
    } finally {
      process.kill(gatewayPid, 'SIGCONT');
    }
    await page.getByTestId('pulse').getByText('live').waitFor();
    await page.getByTestId('stale').waitFor({ state: 'detached' });
    await context.close();
  });
});

describe('pages without a gateway', () => {
  it('experts stay to be seen, marked as old, until it is back', async () => {
    const { page, context } = await open(browser, '/experts');
    await page.getByRole('link', { name: 'banking77' }).waitFor();
    await context.setOffline(true);
    await page.getByTestId('stale').waitFor();
    expect(await page.getByRole('link', { name: 'banking77' }).isVisible()).toBe(true);
    await context.setOffline(false);
    await page.getByTestId('stale').waitFor({ state: 'detached' });
    await context.close();
  });

  it('the playground says what is wrong, and finds the gateway again', async () => {
    const { page, context } = await open(browser, '/');
    await page.getByRole('textbox', { name: 'Prompt' }).waitFor();
    await context.setOffline(true);
    await page.getByText('Book a table').click();
    await page.getByText('The gateway does not answer. Is the mesh running?').waitFor();
    await context.setOffline(false);
    await page.getByTestId('ranking').waitFor();
    await context.close();
  });
});
