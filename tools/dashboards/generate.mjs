// Writes the Grafana dashboards and the Prometheus rules of the chart; with --check it fails when what is committed differs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ALERTS, DASHBOARDS } from './source.mjs';

const chart = fileURLToPath(new URL('../../helm/thalamus', import.meta.url));
const files = new Map([
  ...DASHBOARDS.map((dashboard) => [
    `${chart}/dashboards/${dashboard.uid}.json`,
    `${JSON.stringify(dashboard, null, 2)}\n`,
  ]),
  [
    `${chart}/alerts/rules.yaml`,
    stringify({ groups: [{ name: 'thalamus', rules: ALERTS }] }, { lineWidth: 0 }),
  ],
]);
const differing = [...files].filter(
  ([path, content]) => !existsSync(path) || readFileSync(path, 'utf8') !== content,
);
if (process.argv.includes('--check')) {
  for (const [path] of differing)
    console.error(`${path} differs from its source; run "npm run generate" and commit.`);
  process.exit(differing.length === 0 ? 0 : 1);
}
for (const [path, content] of differing) writeFileSync(path, content);
console.log(`${differing.length} of ${files.size} files written`);
