import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { launchBrowser, open, seriousViolations } from './pages.js';

/** An expert that no other file asks. */
const MOVED = 'scicite3';
const HOSTS = '**/admin/v1/hosts';
const LOOKS = (['light', 'dark'] as const).flatMap((scheme) =>
  ([1280, 390] as const).map((width) => ({ scheme, width })),
);

let browser: Browser;
let hostHttp: string;
beforeAll(async () => {
  ({ hostHttp } = inject('meshUnderBrowser'));
  browser = await launchBrowser();
});
afterAll(() => browser.close());

const rowOf = (page: Page, expert: string) =>
  page.getByRole('listitem').filter({ has: page.getByRole('link', { name: expert, exact: true }) });

async function tellHost(verb: 'load' | 'unload', parameters: Record<string, unknown> = {}): Promise<void> {
  const response = await fetch(`${hostHttp}/v2/repository/models/${MOVED}/${verb}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ parameters }),
  });
  expect(response.status, await response.text()).toBe(200);
}

/** A host in every state that there is, which a mesh at rest has not. */
function hostInTrouble(now: number) {
  const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString();
  const version = (expert: string, state: string, more: object = {}) => ({
    ...{ expert, version: '1', state, memoryBytes: 0, ownBytes: 0, isPinned: false, priority: 0 },
    ...{ lastUsedAt: null, process: '', waiting: 0, errorCode: '', ...more },
  });
  const base = 'minilm-l6@1';
  return {
    id: 'one',
    address: 'thalamus-expert-host-0.thalamus-expert-host.models.svc.cluster.local:7403',
    memory: {
      ...{ limitBytes: 200e6, ownBytes: 95e6, sharedBytes: 91e6, loadsWaiting: 3, runsWaiting: 41 },
      ...{ restarts: 2, recycles: 1, evictions: 1_204, spareBytes: 61e6, startedAt: ago(90_000) },
      processes: [
        { name: base, pid: 4_211, openBytes: 93e6, residentBytes: 260e6 },
        { name: base, pid: 4_218, openBytes: 93e6, residentBytes: 255e6 },
        { name: 'sentence-transformers-of-a-very-long-name@12', pid: 0, openBytes: 92e6, residentBytes: 0 },
      ],
    },
    versions: [
      version('support-tickets', 'ready', {
        ...{ process: base, ownBytes: 1.2e6, isPinned: true, priority: 5, lastUsedAt: ago(3) },
      }),
      version('banking77', 'ready', { process: base, ownBytes: 0.7e6, lastUsedAt: ago(400) }),
      version('sentence-transformers-of-a-very-long-name', 'ready', {
        ...{ version: '12', process: 'sentence-transformers-of-a-very-long-name@12', ownBytes: 92e6 },
      }),
      version('invoices', 'loading', { waiting: 3 }),
      version('legal', 'registered', { lastUsedAt: ago(7_300) }),
      version('broken', 'failed', { errorCode: 'GRAPH_INVALID' }),
    ],
    hidden: 2,
  };
}

describe('the hosts page', () => {
  it('shows the host with its limit, and each expert in the process of its base', async () => {
    const { page, context } = await open(browser, '/hosts');
    const process = page.getByRole('region', { name: /^Process / }).filter({ hasText: 'banking77' });
    await process.waitFor();
    expect(await process.innerText()).toMatch(/pid \d+ · [\d.]+ MiB of weights · [\d.]+ MiB resident/);
    const meter = page.getByRole('meter', { name: 'Memory that experts take' });
    expect(Number(await meter.getAttribute('aria-valuenow'))).toBeGreaterThan(0);
    expect(await meter.getAttribute('aria-valuetext')).toMatch(/^[\d.]+ MiB of 2\.00 GiB$/);
    await context.close();
  });

  it('follows what the host does while one looks: let go, loaded, pinned, used', async () => {
    const { page, context } = await open(browser, '/hosts');
    const row = rowOf(page, MOVED);
    await row.getByText('ready').waitFor();
    await tellHost('unload');
    await row.waitFor({ state: 'detached' });
    await tellHost('load', { pinned: true });
    await row.getByText('ready').waitFor();
    await row.getByText('pinned').waitFor();
    await row.getByText('ago').or(row.getByText('just now')).waitFor();
    await context.close();
  });

  it('is marked as old while the gateway does not answer', async () => {
    const { page, context } = await open(browser, '/hosts');
    await rowOf(page, 'banking77').waitFor();
    await context.setOffline(true);
    await page.getByTestId('stale').waitFor();
    expect(await rowOf(page, 'banking77').isVisible()).toBe(true);
    await context.setOffline(false);
    await page.getByTestId('stale').waitFor({ state: 'detached' });
    await context.close();
  });

  it('says that there is none, and what went wrong in the words of the gateway', async () => {
    const { page, context } = await open(browser, '/overview');
    await page.route(HOSTS, (route) => route.fulfill({ json: { object: 'list', data: [] } }));
    await page.getByRole('link', { name: 'Hosts' }).click();
    await page.getByText('No hosts').waitFor();
    await page.unroute(HOSTS);
    const error = { code: 'RATE_LIMITED', message: 'Too many requests of this tenant.' };
    await page.route(HOSTS, (route) => route.fulfill({ status: 429, json: { error } }));
    await page.getByRole('alert').getByText(error.message).waitFor();
    await context.close();
  });

  it.each(LOOKS)('shows every state in $scheme, $width px wide', async (look) => {
    const { page, context, complaints } = await open(browser, '/', { ...look, reducedMotion: 'reduce' });
    const data = [hostInTrouble(Date.now())];
    await page.route(HOSTS, (route) => route.fulfill({ json: { object: 'list', data } }));
    await page.goto('/console/hosts');
    for (const [expert, text] of [
      ['support-tickets', 'pinned, priority 5'],
      ['invoices', '3 waiting'],
      ['legal', 'on demand'],
      ['broken', 'GRAPH_INVALID'],
    ] as const)
      await rowOf(page, expert).getByText(text).waitFor();
    await page.getByText('2 more versions are of experts that this key may not use.').waitFor();
    const folder = process.env['HOSTS_PICTURES'];
    if (folder) await page.screenshot({ path: `${folder}/${look.scheme}-${look.width}.png`, fullPage: true });
    expect(await seriousViolations(page)).toEqual([]);
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate<number>(overflow)).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
