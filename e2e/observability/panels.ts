import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/paths.js';
import type { PrometheusServer } from './prometheus.js';

const CHART = join(ROOT, 'helm/thalamus');
/** What Grafana would put for $__rate_interval with a scrape a second and a short step. */
const RATE_INTERVAL = '10s';

/** Rules of the chart's alerts. */
export const ALERT_RULES = join(CHART, 'alerts/rules.yaml');

/** A query and where it stands. */
export interface PlacedQuery {
  /** Dashboard and panel, or alert. */
  readonly place: string;
  readonly expression: string;
}

interface Dashboard {
  readonly title: string;
  readonly panels: readonly {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
}

/** Every query of every panel of the dashboards that the chart installs. */
export function panelQueries(): PlacedQuery[] {
  return readdirSync(join(CHART, 'dashboards')).flatMap((file) => {
    const { title, panels } = JSON.parse(readFileSync(join(CHART, 'dashboards', file), 'utf8')) as Dashboard;
    return panels.flatMap((panel) =>
      (panel.targets ?? []).map(({ expr }) => ({
        place: `${title} > ${panel.title}`,
        expression: expr.replaceAll('$__rate_interval', RATE_INTERVAL),
      })),
    );
  });
}

/** What an alert compares, without the comparison and what excuses it: it must have a value while nothing is wrong. */
export function comparedBy(expression: string): string {
  const [first = ''] = expression.split(' unless ');
  const bare = first.startsWith('(') && first.endsWith(')') ? first.slice(1, -1) : first;
  const [, compared] = /^(.+) [<>]=? [\d.]+$/.exec(bare) ?? [];
  if (compared === undefined) throw new Error(`The alert has no comparison with a number: ${expression}`);
  return compared;
}

/** Queries without a finite value, each with its place and what the server said. */
export async function queriesWithoutData(
  prometheus: Pick<PrometheusServer, 'query'>,
  queries: readonly PlacedQuery[],
): Promise<string[]> {
  const lines = await Promise.all(
    queries.map(async ({ place, expression }) => {
      try {
        const series = await prometheus.query(expression);
        if (series.some(({ value }) => Number.isFinite(value))) return undefined;
        return `${place}: ${series.length === 0 ? 'no series' : 'no finite value'} for ${expression}`;
      } catch (fault) {
        return `${place}: ${(fault as Error).message} for ${expression}`;
      }
    }),
  );
  return lines.filter((line) => line !== undefined);
}
