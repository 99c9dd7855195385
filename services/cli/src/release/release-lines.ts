import { toJson } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { table } from '../output.js';
import { gateJson, gateLines } from './gate-lines.js';

/** The release of an answer. @throws INTERNAL when there is none */
export function present(release: releaseV1.Release | undefined): releaseV1.Release {
  if (release) return release;
  throw new ThalamusError('INTERNAL', 'The updater answered without a release; try again.');
}

/** State as it is shown, such as `canary`. */
export function stateOf({ state }: Pick<releaseV1.Release, 'state'>): string {
  return releaseV1.ReleaseState[state].toLowerCase().replace('_', ' ');
}

/** A release as one JSON value. */
export function releaseJson(release: releaseV1.Release) {
  const { id, expert, fromVersion, toVersion, weight, step, stopped, waitingFor, plan, live, comparison } =
    release;
  return {
    ...{ id, expert, fromVersion, toVersion, state: stateOf(release), weight, step, stopped, waitingFor },
    plan: plan && toJson(releaseV1.ReleasePlanSchema, plan, { alwaysEmitImplicit: true }),
    live: live && toJson(releaseV1.LiveReadingSchema, live, { alwaysEmitImplicit: true }),
    probes: release.probes && { digest: release.probes.digest, items: release.probes.items },
    repair: release.repair && repairJson(release.repair),
    comparison: comparison && {
      verdict: releaseV1.Verdict[comparison.verdict].toLowerCase(),
      reason: comparison.reason,
    },
    gate: release.gate && gateJson(release.gate),
    history: release.history.map((transition) => ({
      state: stateOf(transition),
      at: timeOf(transition),
      by: transition.by,
      reason: transition.reason,
      evidence: transition.evidence,
    })),
  };
}

function repairJson({ jobId, parameters, by, replacedVersion, ended }: releaseV1.Repair) {
  return { job: jobId, parameters: parameters ?? {}, by, replacedVersion, ended };
}

/** The last repair that was asked for, in one line. */
function repairLine({ jobId, parameters = {}, by, replacedVersion, ended }: releaseV1.Repair): string {
  const [method, dataset, seed] = ['method', 'dataset', 'seed'].map((name) => {
    const value = parameters[name];
    return typeof value === 'string' || typeof value === 'number' ? value : '?';
  });
  const how = `${method} on ${dataset}, seed ${seed}`;
  return `repair of version ${replacedVersion} (${how}) by job ${jobId}, asked for by ${by}${ended ? '' : ': not taken yet'}`;
}

/** A release for people. */
export function releaseLines(release: releaseV1.Release): string[] {
  const { id, expert, fromVersion, toVersion, weight, step, plan, stopped, waitingFor, live } = release;
  const steps = plan?.steps.length ?? 0;
  const at = step > 0 ? `, step ${step} of ${steps}` : '';
  const wait = stopped === '' ? waitingFor : `stopped: ${stopped}`;
  return [
    `${id}: ${expert}@${fromVersion} to ${toVersion}, ${stateOf(release)}${at}, ${percent(weight)} of the traffic`,
    ...(wait === '' ? [] : [wait]),
    ...(release.repair ? [repairLine(release.repair)] : []),
    '',
    ...table([
      ['when', 'state', 'by', 'why'],
      ...release.history.map((transition) => [
        timeOf(transition),
        stateOf(transition),
        transition.by,
        transition.reason,
      ]),
    ]),
    ...(release.gate ? ['', ...gateLines(release.gate)] : []),
    ...(live ? ['', ...liveLines(live, release.probes)] : []),
  ];
}

function liveLines(
  { tests, mirrored, stableRequests, candidateRequests, feedback, probed }: releaseV1.LiveReading,
  probes: releaseV1.ReleaseProbes | undefined,
): string[] {
  const asked = probes ? `, ${probed} of ${probes.items} probes answered by both` : '';
  return [
    `${mirrored} mirrored, ${candidateRequests} answered by the candidate, ${stableRequests} by the stable version, ${feedback} with feedback${asked}`,
    ...table([
      ['test', 'against', 'of', 'share', '95 % at any time', 'limit'],
      ...tests.map(({ test, events, trials, rate, low, high, limit, alarm }) => [
        ...[test, String(events), String(trials), percent(rate), `${percent(low)} to ${percent(high)}`],
        `${percent(limit)}${alarm ? ' broken' : ''}`,
      ]),
    ]),
  ];
}

function timeOf({ at }: releaseV1.Transition): string {
  return at ? timestampDate(at).toISOString() : '';
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
