import { waitUntil } from '@thalamus/testing';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { focused, launchBrowser, open } from './pages.js';

let browser: Browser;
let key: string;
beforeAll(async () => {
  ({ key } = inject('meshUnderBrowser'));
  browser = await launchBrowser();
});
afterAll(() => browser.close());

describe('classification', () => {
  it('shows the ranking while one types, and runs the winner', async () => {
    const { page, context } = await open(browser, '/', { key });
    await page.getByText('No prompt yet').waitFor();
    expect(await page.getByRole('button', { name: 'Run' }).isDisabled()).toBe(true);
    await page.getByRole('textbox', { name: 'Prompt' }).fill('I lost my card, please block it');
    await page.getByTestId('why').getByText('banking77').waitFor();
    expect(await page.getByTestId('ranking').getByRole('listitem').count()).toBeGreaterThanOrEqual(8);
    await page.getByRole('button', { name: 'Run banking77' }).click();
    expect(await page.getByTestId('answer-label').innerText()).toBe('lost_or_stolen_card');
    await context.close();
  });

  it('can be walked through with the keyboard alone', async () => {
    const { page, context } = await open(browser, '/', { key });
    await page.getByRole('textbox', { name: 'Prompt' }).waitFor();
    const order: string[] = [];
    for (let step = 0; step < 14; step++) {
      await page.keyboard.press('Tab');
      order.push(await focused(page));
    }
    expect(order).toEqual([
      'Skip to content',
      'Switch to dark',
      'Sign out',
      'Playground',
      'Overview',
      'Experts',
      'Hosts',
      'Router',
      'Compositions',
      'Releases',
      'Keys',
      'Policies',
      'Classify',
      'Prompt',
    ]);
    await page.keyboard.type('Book a table for two in Lisbon');
    await page.getByTestId('ranking').waitFor();
    const winner = await page.getByTestId('why').locator('b').innerText();
    await page.getByRole('button', { name: `Run ${winner}`, disabled: false }).waitFor();
    await page.keyboard.press('Control+Enter');
    await page.getByTestId('answer-label').waitFor();
    await context.close();
  });

  it('lets the keyboard skip to the content', async () => {
    const { page, context } = await open(browser, '/', { key });
    await page.getByRole('textbox', { name: 'Prompt' }).waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await page.evaluate<string>('document.activeElement.id')).toBe('main');
    await page.keyboard.press('Tab');
    expect(await focused(page)).toBe('Classify');
    await context.close();
  });
});

describe('chat', () => {
  it('a weight moves the winner at once, without asking the router again', async () => {
    const { page, context } = await open(browser, '/?task=chat', { key });
    await page.getByText('Rose bushes').click();
    const first = page.getByTestId('ranking').getByRole('listitem').first();
    await page.getByTestId('why').getByText('gpt-4-1106').first().waitFor();
    const before = await first.getAttribute('data-key');
    let asked = 0;
    page.on('request', (request) => {
      if (request.url().endsWith('/v1/route')) asked += 1;
    });
    await page.getByRole('slider', { name: 'cost' }).focus();
    await page.keyboard.press('End');
    const after = await first.getAttribute('data-key');
    expect([before, after]).toEqual(['gpt-4-1106', 'mixtral-8x7b']);
    expect(asked).toBe(0);
    await page.getByRole('button', { name: 'Copy model "auto:cost=1"' }).waitFor();
    await page.getByRole('button', { name: 'Reset' }).click();
    expect(await first.getAttribute('data-key')).toBe('gpt-4-1106');
    await context.close();
  });

  it('streams the answer of whom the page said, with its cost', async () => {
    const { page, context } = await open(browser, '/?task=chat', { key });
    await page.getByText('Chickens and cows').click();
    await page.getByRole('slider', { name: 'cost' }).focus();
    await page.keyboard.press('End');
    await page.getByRole('button', { name: 'Run mixtral-8x7b' }).click();
    const answer = page.getByTestId('chat-answer');
    await answer.waitFor();
    const lengths = new Set<number>();
    await waitUntil(
      'the answer is complete',
      async () => {
        lengths.add((await answer.innerText()).length);
        return page.getByText('The answer is complete.').isVisible();
      },
      { timeoutMs: 30_000, everyMs: 50 },
    );
    // It grew before the eye.
    expect(lengths.size).toBeGreaterThan(2);
    expect(await answer.innerText()).toMatch(/chickens/i);
    const panel = page.getByLabel('Answer', { exact: true });
    expect(await panel.getByText(/^mixtral-8x7b@\d+$/).isVisible()).toBe(true);
    expect(await panel.locator('dl').innerText()).toMatch(/tokens\s+\d+ in, \d+ out\s+cost\s+\$0\.000/);
    await context.close();
  });

  it('stops a stream and keeps what had come', async () => {
    const { page, context } = await open(browser, '/?task=chat', { key });
    await page.getByText('Chickens and cows').click();
    await page.getByRole('button', { name: /^Run ./ }).click();
    await page.getByTestId('chat-answer').waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped. What had come stays here.').waitFor();
    const kept = await page.getByTestId('chat-answer').innerText();
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThan(600);
    expect(await page.getByRole('button', { name: /^Run ./ }).isEnabled()).toBe(true);
    await context.close();
  });

  it('says what can be asked when a question is not recorded', async () => {
    const { page, context } = await open(browser, '/?task=chat', { key });
    await page.getByRole('textbox', { name: 'Prompt' }).fill('Who are you, and what do you want?');
    await page.getByRole('button', { name: /^Run ./ }).click();
    const alert = page.getByRole('alert');
    await alert.waitFor();
    expect(await alert.innerText()).toMatch(/record/i);
    await context.close();
  });
});
