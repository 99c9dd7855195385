import { waitUntil } from '@thalamus/testing';
import axe from 'axe-core';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { inject } from 'vitest';
import { verbsOf } from '../support/mesh.js';

/** How a page is looked at. */
export interface Look {
  readonly scheme?: 'light' | 'dark';
  readonly width?: 1280 | 390;
  /** Key to be signed in with; left out: nobody. */
  readonly key?: string;
  readonly reducedMotion?: 'reduce' | 'no-preference';
}

/** A page with what it complained of. */
export interface OpenPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of scripts and of the console. */
  readonly complaints: string[];
}

/** The browser of a file of tests. */
export function launchBrowser(): Promise<Browser> {
  const { chromium: executablePath } = inject('meshUnderBrowser');
  // Without its sandbox it runs as root too, as in containers; it loads pages of this mesh alone.
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

/** Opens a page of the console in a fresh profile. */
export async function open(browser: Browser, path: string, look: Look = {}): Promise<OpenPage> {
  const { scheme = 'light', width = 1280, key, reducedMotion = 'no-preference' } = look;
  const context = await browser.newContext({
    baseURL: inject('meshUnderBrowser').http,
    colorScheme: scheme,
    reducedMotion,
    viewport: { width, height: width === 390 ? 844 : 820 },
    isMobile: width === 390,
    hasTouch: width === 390,
  });
  if (key !== undefined) await context.addInitScript(`sessionStorage.setItem('thalamus.key', '${key}')`);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on('pageerror', ({ message }) => complaints.push(message));
  page.on('console', (said) => {
    if (said.type() === 'error') complaints.push(said.text());
  });
  await page.goto(`/console${path}`);
  return { page, context, complaints };
}

/** Violations of WCAG 2 A and AA that are serious or critical, each with the elements at fault. */
export async function seriousViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>(
    `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })`,
  );
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
}

/** Makes a key with the command line, and waits until the gateway knows it. */
export async function createKey(
  role: 'viewer' | 'operator' | 'admin',
): Promise<{ readonly id: string; readonly secret: string }> {
  const { dataFolder, http } = inject('meshUnderBrowser');
  const wish = ['--tenant', 'default', '--role', role, '--description', `browser ${role}`];
  const { id, key: secret } = await verbsOf(dataFolder).json<{ id: string; key: string }>([
    'keys',
    'create',
    ...wish,
  ]);
  const headers = { authorization: `Bearer ${secret}` };
  await waitUntil('the gateway knows the new key', async () => {
    const { ok } = await fetch(`${http}/admin/v1/session`, { headers });
    return ok;
  });
  return { id, secret };
}

/** What has the focus: its label, else its text. */
export function focused(page: Page): Promise<string> {
  return page.evaluate<string>(
    `(() => {
      const element = document.activeElement;
      const label = element.getAttribute('aria-label') ?? element.labels?.[0]?.innerText;
      return (label ?? (element.value || element.innerText) ?? '').trim().slice(0, 60);
    })()`,
  );
}
