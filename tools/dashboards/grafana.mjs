// Grafana's JSON out of a short description: rows of panels, each with its queries. Only what we use.

/** @typedef {{ expr: string, legend?: string }} Query */
/** @typedef {{ title: string, kind?: 'timeseries' | 'stat' | 'bargauge', unit?: string, width?: number, description: string, queries: Query[], stack?: boolean, thresholds?: [number, string][] }} Panel */

const WIDTH = 24;
const HEIGHT = 8;
const datasource = { type: 'prometheus', uid: '${datasource}' };

/** @param {{ uid: string, title: string, description: string, rows: { title: string, panels: Panel[] }[] }} source */
export function dashboard({ uid, title, description, rows }) {
  const panels = [];
  let y = 0;
  let id = 1;
  for (const row of rows) {
    panels.push({
      id: id++,
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: WIDTH, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    for (const panel of row.panels) {
      const w = panel.width ?? 8;
      if (x + w > WIDTH) {
        x = 0;
        y += HEIGHT;
      }
      panels.push(panelJson(panel, id++, { x, y, w, h: HEIGHT }));
      x += w;
    }
    y += HEIGHT;
  }
  return {
    uid,
    title,
    description,
    tags: ['thalamus'],
    schemaVersion: 41,
    version: 1,
    editable: false,
    graphTooltip: 1,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    templating: {
      list: [
        {
          name: 'datasource',
          type: 'datasource',
          query: 'prometheus',
          label: 'Data source',
          hide: 0,
          current: {},
        },
      ],
    },
    annotations: { list: [] },
    links: [
      {
        type: 'dashboards',
        tags: ['thalamus'],
        title: 'Thalamus',
        asDropdown: true,
        includeVars: true,
        keepTime: true,
      },
    ],
    panels,
  };
}

function panelJson(
  { title, kind = 'timeseries', unit = 'short', description, queries, stack = false, thresholds = [] },
  id,
  gridPos,
) {
  const steps = [{ color: 'green', value: null }, ...thresholds.map(([value, color]) => ({ color, value }))];
  const custom =
    kind === 'timeseries'
      ? {
          custom: {
            lineWidth: 2,
            fillOpacity: stack ? 35 : 8,
            showPoints: 'never',
            stacking: { mode: stack ? 'normal' : 'none', group: 'A' },
          },
        }
      : {};
  return {
    id,
    type: kind,
    title,
    description,
    datasource,
    gridPos,
    fieldConfig: {
      defaults: { unit, min: 0, ...custom, thresholds: { mode: 'absolute', steps } },
      overrides: [],
    },
    options:
      kind === 'timeseries'
        ? { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } }
        : { reduceOptions: { calcs: ['lastNotNull'] }, orientation: 'horizontal' },
    targets: queries.map(({ expr, legend = '' }, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource,
      expr,
      legendFormat: legend,
    })),
  };
}
