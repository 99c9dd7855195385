import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { verbsOf } from '../support/mesh.js';
import { createKey, launchBrowser, open } from './pages.js';

let browser: Browser;
let key: string;
beforeAll(async () => {
  ({ key } = inject('meshUnderBrowser'));
  browser = await launchBrowser();
});
afterAll(() => browser.close());

describe('signing in', () => {
  it('refuses a wrong key in words, and takes a right one', async () => {
    const { page, context } = await open(browser, '/');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('textbox', { name: 'API key' }).fill('thk_000000000000_nobody');
    await page.keyboard.press('Enter');
    expect(await page.getByRole('alert').innerText()).toMatch(/key/i);
    await page.getByRole('textbox', { name: 'API key' }).fill(key);
    await page.keyboard.press('Enter');
    await page.getByText('default · admin').first().waitFor();
    // It lives in this tab alone, and not in an address.
    expect(page.url()).not.toContain(key);
    expect(await page.evaluate<number>('localStorage.length')).toBe(0);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('no key · viewer').first().waitFor();
    await context.close();
  });

  it('leaves with Escape when looking is allowed without a key', async () => {
    const { page, context } = await open(browser, '/experts');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('textbox', { name: 'API key' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('heading', { name: 'Experts' }).waitFor();
    await context.close();
  });

  it('ends when the key is revoked', async () => {
    const { id, secret } = await createKey('operator');
    const { page, context } = await open(browser, '/experts', { key: secret });
    await page.getByText('default · operator').first().waitFor();
    await verbsOf(inject('meshUnderBrowser').dataFolder).json(['keys', 'revoke', id]);
    await page.getByRole('textbox', { name: 'API key' }).waitFor();
    expect(await page.getByRole('alert').innerText()).toMatch(/revoked|unknown|not valid/i);
    await context.close();
  });
});

describe('roles', () => {
  it('a viewer is offered nothing that it may not do', async () => {
    const { secret } = await createKey('viewer');
    const { page, context } = await open(browser, '/keys', { key: secret });
    await page.getByRole('heading', { name: 'Playground' }).waitFor();
    const pages = page.getByRole('navigation', { name: 'Pages' });
    const offered = await pages.getByRole('link').allInnerTexts();
    expect(offered).toContain('Releases');
    expect(offered.filter((name) => name === 'Keys' || name === 'Policies')).toEqual([]);
    await context.close();
  });

  it('an operator promotes a version, with a reason; a viewer sees no such button', async () => {
    const { http, upstream } = inject('meshUnderBrowser');
    const registered = await fetch(`${http}/admin/v1/experts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        name: 'mixtral-8x7b',
        description: 'The same model under a second version.',
        baseUrl: upstream,
        model: 'mixtral-8x7b-instruct-v0.1',
        prices: { inputUsdPerMtok: 0.6, outputUsdPerMtok: 0.6 },
      }),
    });
    expect(registered.status, await registered.clone().text()).toBe(201);
    const { version: added, stable } = (await registered.json()) as { version: string; stable: string };
    expect(added).not.toBe(stable);

    const viewer = await open(browser, '/experts/mixtral-8x7b');
    await viewer.page.getByRole('dialog').getByText(`Version ${added}`).waitFor();
    expect(await viewer.page.getByRole('button', { name: 'Promote' }).count()).toBe(0);
    await viewer.context.close();

    const { secret } = await createKey('operator');
    const { page, context } = await open(browser, '/experts/mixtral-8x7b', { key: secret });
    const promote = async (version: string, reason: string) => {
      await page.getByLabel(`Version ${version}`).getByRole('button', { name: 'Promote' }).click();
      const dialog = page.getByRole('dialog', { name: `Promote mixtral-8x7b@${version}` });
      expect(await dialog.getByRole('button', { name: 'Make it stable' }).isDisabled()).toBe(true);
      await dialog.getByRole('textbox', { name: 'Reason' }).fill(reason);
      await dialog.getByRole('button', { name: 'Make it stable' }).click();
      await page.getByLabel(`Version ${version}`).getByText('stable').waitFor();
    };
    await promote(added, 'a trial of the same model');
    await promote(stable, 'the trial is over');
    await context.close();
  });

  it('an administrator makes a key whose secret is shown once, and revokes it', async () => {
    const { page, context } = await open(browser, '/keys', { key });
    await page.getByRole('button', { name: 'Create a key' }).click();
    await page.getByRole('textbox', { name: 'What it is for' }).fill('nightly report');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    const secret = await page.getByTestId('secret').innerText();
    const { http } = inject('meshUnderBrowser');
    const session = () =>
      fetch(`${http}/admin/v1/session`, { headers: { authorization: `Bearer ${secret}` } });
    expect(await (await session()).json()).toMatchObject({ role: 'viewer', tenant: 'default' });
    await page.getByRole('button', { name: 'I have kept it' }).click();
    expect(await page.getByText(secret).count()).toBe(0);
    const row = page.getByRole('row').filter({ hasText: 'nightly report' });
    await row.getByRole('button', { name: /^Revoke/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke', exact: true }).click();
    await row.getByText('revoked').waitFor();
    expect((await session()).status).toBe(401);
    await context.close();
  });
});

describe('the experts page', () => {
  it('opens an expert with Enter, and closes it with Escape', async () => {
    const { page, context } = await open(browser, '/experts');
    await page.getByRole('link', { name: 'clinc150' }).focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'clinc150' });
    await dialog
      .getByText(/^Version \d+$/)
      .first()
      .waitFor();
    expect(page.url()).toContain('/console/experts/clinc150');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    expect(new URL(page.url()).pathname).toBe('/console/experts');
    await context.close();
  });

  it('says so when a link names an expert that is not there, and filters', async () => {
    const { page, context } = await open(browser, '/experts/no-such-expert');
    await page.getByText('There is no expert called no-such-expert.').waitFor();
    await page.getByRole('textbox', { name: 'Filter experts' }).fill('legal nonsense');
    await page.getByText('Nothing matches').waitFor();
    await page.getByRole('textbox', { name: 'Filter experts' }).fill('BANKING');
    await page.getByRole('link', { name: 'banking77' }).waitFor();
    await context.close();
  });
});
