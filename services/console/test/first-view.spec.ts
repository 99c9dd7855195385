import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const DIST = join(import.meta.dirname, '../dist');
const LIMIT_BYTES = 300_000;

/** Files that the browser fetches before the first page shows: what index.html names, and the page itself. */
function firstView(): string[] {
  const html = readFileSync(join(DIST, 'index.html'), 'utf8');
  const named = [...html.matchAll(/(?:src|href)="\/console\/([^"]+)"/g)].map(([, path]) => path ?? '');
  return ['index.html', ...named];
}

/** Bytes on the wire: the compressed form where there is one, as the gateway sends it. */
function wireBytes(path: string): number {
  const compressed = join(DIST, `${path}.br`);
  return statSync(existsSync(compressed) ? compressed : join(DIST, path)).size;
}

it('has been built', () => {
  expect(existsSync(join(DIST, 'index.html')), 'run "npm run build" first').toBe(true);
});

it('shows its first page from less than 300 kB', () => {
  const files = firstView();
  expect(files.filter((file) => file.endsWith('.js')).length).toBeGreaterThan(0);
  expect(files.filter((file) => file.endsWith('.css')).length).toBeGreaterThan(0);
  // Whatever is large goes over the wire in its compressed form.
  for (const file of files.filter((name) => /\.(js|css)$/.test(name)))
    expect(existsSync(join(DIST, `${file}.br`)) || statSync(join(DIST, file)).size <= 1024, file).toBe(true);
  expect(files.map(wireBytes).reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(LIMIT_BYTES);
});

it('leaves the charts of the Overview out of it', () => {
  const scripts = firstView().filter((file) => file.endsWith('.js'));
  for (const script of scripts) expect(readFileSync(join(DIST, script), 'utf8')).not.toContain('recharts-');
});
