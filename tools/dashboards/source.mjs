// The dashboards and alerts of the mesh: the one source of the Grafana JSON and the Prometheus rules in helm/thalamus.
// A dashboard is a file in boards/, the alerts are in alerts.mjs; the tests ask a real Prometheus every query.
import { compositionsBoard } from './boards/compositions.mjs';
import { hostsBoard } from './boards/hosts.mjs';
import { jobsBoard } from './boards/jobs.mjs';
import { meshBoard } from './boards/mesh.mjs';
import { releasesBoard } from './boards/releases.mjs';
import { routerBoard } from './boards/router.mjs';

export { ALERTS } from './alerts.mjs';

export const DASHBOARDS = [meshBoard, routerBoard, jobsBoard, hostsBoard, compositionsBoard, releasesBoard];
