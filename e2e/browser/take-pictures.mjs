// Takes the pictures of the console that the documentation shows, of a fresh mesh with some traffic, into docs/pictures.
//   node e2e/browser/take-pictures.mjs
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { chromiumBinary } from '../../tools/provision-chromium.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TRAFFIC_SECONDS = 20;
const QUESTION =
  'Dan plants 3 rose bushes. Each rose bush has 25 roses. Each rose has 8 thorns. How many thorns are there total?';
const TEXTS = [
  'I lost my card, please block it',
  'Book a table for two in Lisbon tonight',
  'Either party may terminate this Agreement upon thirty days notice',
  'We therefore overrule our earlier decision in that case',
  'The patient denies chest pain and takes metformin daily',
];

const data = mkdtempSync(join(tmpdir(), 'thalamus-pictures-'));
const launcher = spawn(
  process.execPath,
  [
    join(ROOT, 'services/cli/bin/thalamus.mjs'),
    'up',
    '--json',
    '--port',
    '0',
    '--grpc-port',
    '0',
    '--data',
    data,
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
try {
  const [line] = await once(createInterface(launcher.stdout), 'line');
  const { http, keyFile } = JSON.parse(line);
  await takeAll(http, readFileSync(keyFile, 'utf8').trim());
} finally {
  launcher.kill('SIGINT');
  await once(launcher, 'exit');
  rmSync(data, { recursive: true, force: true });
}

async function takeAll(http, key) {
  const browser = await chromium.launch({ executablePath: chromiumBinary(), args: ['--no-sandbox'] });
  const show = async (path, colorScheme, height, prepare) => {
    const context = await browser.newContext({
      colorScheme,
      viewport: { width: 1120, height },
      baseURL: http,
    });
    await context.addInitScript(`sessionStorage.setItem('thalamus.key', '${key}')`);
    const page = await context.newPage();
    await page.goto(`/console${path}`);
    await prepare(page);
    // Where the pointer rests nothing must look touched.
    await page.mouse.move(0, height - 1);
    return { page, context };
  };
  const take = async (name, { page, context }) => {
    await page.screenshot({ path: join(ROOT, `docs/pictures/console-${name}.png`), animations: 'disabled' });
    await context.close();
  };
  const overview = await show('/overview', 'light', 680, (page) => page.getByTestId('pulse').waitFor());
  await traffic(http);
  await overview.page.getByLabel('Saved').getByText('less than').waitFor();
  await take('overview', overview);
  const chat = async (page) => {
    await page.getByText('Rose bushes').click();
    await page.getByRole('slider', { name: 'cost' }).focus();
    for (let step = 0; step < 24; step++) await page.keyboard.press('ArrowRight');
    await page.getByRole('button', { name: /^Run ./ }).click();
    await page.getByText('The answer is complete.').waitFor();
    await page.getByRole('heading', { name: 'Playground' }).scrollIntoViewIfNeeded();
    await page.evaluate('document.activeElement.blur(); window.scrollTo(0, 0)');
  };
  for (const scheme of ['light', 'dark'])
    await take(`playground-${scheme}`, await show('/?task=chat', scheme, 820, chat));
  await take(
    'experts',
    await show('/experts', 'light', 760, (page) => page.getByRole('link', { name: 'banking77' }).waitFor()),
  );
  const router = await show('/router', 'light', 760, (page) => page.getByTestId('prompt-map').waitFor());
  await router.page.getByLabel('Map of prompts', { exact: true }).scrollIntoViewIfNeeded();
  await take('router', router);
  await browser.close();
}

async function traffic(http) {
  const post = (path, body) =>
    fetch(`${http}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).then((response) => response.text());
  const until = performance.now() + TRAFFIC_SECONDS * 1000;
  for (let count = 0; performance.now() < until; count++) {
    await post('/v1/classifications', { input: TEXTS[count % TEXTS.length] });
    if (count % 40 === 0)
      await post('/v1/chat/completions', {
        model: count % 80 === 0 ? 'auto' : 'auto:cost=1',
        messages: [{ role: 'user', content: QUESTION }],
      });
  }
}
