// Writes the dashboards and alert rules of the chart from tools/dashboards/source.mjs. "npm run helm:check" compares them with
// what is committed, and with --write renews them.
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ALERTS, DASHBOARDS } from './source.mjs';

const chart = fileURLToPath(new URL('../../helm/thalamus', import.meta.url));

/** Path and content of each file that is made from the source. */
export function generatedFiles() {
  return [
    ...DASHBOARDS.map((dashboard) => [
      `${chart}/dashboards/${dashboard.uid}.json`,
      `${JSON.stringify(dashboard, null, 2)}\n`,
    ]),
    [
      `${chart}/alerts/rules.yaml`,
      stringify({ groups: [{ name: 'thalamus', rules: ALERTS }] }, { lineWidth: 0 }),
    ],
  ];
}
