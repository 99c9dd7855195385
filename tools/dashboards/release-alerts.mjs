// Alerts of releases: one that was taken back, one that nobody steers, one that does not get on.
import { METRIC } from './metric-names.mjs';

const LIVE = METRIC.releasesLive;
const STATE = 'thalamus_release_state';
const WITH_TRAFFIC = `{${STATE}=~"SHADOW|CANARY"}`;

/** Alert rules about releases. */
export const RELEASE_ALERTS = [
  {
    alert: 'ThalamusReleaseRolledBack',
    expr: `sum(increase(${METRIC.releaseTransitions}{${STATE}="ROLLED_BACK",thalamus_reason="gate"}[15m])) > 0`,
    labels: { severity: 'ticket' },
    annotations: {
      summary: 'A candidate was taken back by itself',
      description:
        'It broke a limit of its release; callers get the version before. "thalamus release list" names it, its path on the page of the releases says which limit, and its evidence which requests differed. Mend the version and start another release.',
    },
  },
  {
    alert: 'ThalamusReleaseUnsteered',
    // Traffic was on its way to a candidate, no updater tells of releases now, and none of them ended meanwhile.
    expr: `(sum(max_over_time(${LIVE}${WITH_TRAFFIC}[10m])) > 0) unless on () (sum(${LIVE}) >= 0) unless on () (sum(increase(${METRIC.releaseTransitions}{${STATE}=~"STABLE|ROLLED_BACK"}[10m])) > 0)`,
    for: '1m',
    labels: { severity: 'page' },
    annotations: {
      summary: 'Nobody steers the releases',
      description:
        'Candidates had traffic and no updater is elected now. Leases last 15 s: after that every caller gets the stable version, and nothing is lost. Is an updater up, and does it reach the bus? The next one that is elected goes on where the releases stood.',
    },
  },
  {
    alert: 'ThalamusReleaseStands',
    expr: `(sum(${LIVE}) > 0) unless on () (sum(increase(${METRIC.releaseTransitions}[6h])) > 0)`,
    for: '10m',
    labels: { severity: 'ticket' },
    annotations: {
      summary: 'A release does not get on',
      description:
        '{{ $value }} releases are live and none took a step in six hours. "thalamus release status" says what each waits for: samples that do not come, a host that does not have the candidate, or a person, because the versions are incompatible. Advance it, promote it or roll it back, with a reason.',
    },
  },
];
